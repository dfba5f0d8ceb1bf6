-- generated from models/kpis by puntual.powerbi.parts; edit those, not this file
{{ config(alias='kpi_decisions') }}
{{ star_parts(ref('kpi_decisions'), 'activity_date') }}
