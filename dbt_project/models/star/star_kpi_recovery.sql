-- generated from models/kpis by puntual.powerbi.parts; edit those, not this file
{{ config(alias='kpi_recovery') }}
{{ star_parts(ref('kpi_recovery'), 'activity_date') }}
