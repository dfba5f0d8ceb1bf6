{{ config(alias='dim_kpis') }}
{{ star_parts(ref('kpi_catalog'), none) }}
