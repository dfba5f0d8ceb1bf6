-- generated from models/kpis by puntual.powerbi.parts; edit those, not this file
{{ config(alias='kpi_contacts') }}
{{ star_parts(ref('kpi_contacts'), 'activity_date') }}
