{#- A day as yyyymmdd, bigint: the key of star.dim_dates. -#}
{% macro date_key(expression) -%}
    cast(
        extract(year from {{ expression }}) * 10000
        + extract(month from {{ expression }}) * 100
        + extract(day from {{ expression }})
        as bigint
    )
{%- endmacro %}
