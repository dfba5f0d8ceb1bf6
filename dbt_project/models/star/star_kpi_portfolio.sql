-- generated from models/kpis by puntual.powerbi.parts; edit those, not this file
{{ config(alias='kpi_portfolio') }}
{{ star_parts(ref('kpi_portfolio'), 'as_of_date') }}
