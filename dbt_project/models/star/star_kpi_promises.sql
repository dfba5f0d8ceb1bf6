-- generated from models/kpis by puntual.powerbi.parts; edit those, not this file
{{ config(alias='kpi_promises') }}
{{ star_parts(ref('kpi_promises'), 'activity_date') }}
