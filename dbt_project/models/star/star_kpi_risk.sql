-- generated from models/kpis by puntual.powerbi.parts; edit those, not this file
{{ config(alias='kpi_risk') }}
{{ star_parts(ref('kpi_risk'), 'as_of_date') }}
