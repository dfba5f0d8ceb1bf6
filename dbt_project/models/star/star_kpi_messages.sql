-- generated from models/kpis by puntual.powerbi.parts; edit those, not this file
{{ config(alias='kpi_messages') }}
{{ star_parts(ref('kpi_messages'), 'activity_date') }}
