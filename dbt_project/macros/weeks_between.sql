{#- Whole weeks from one date to another, rounded up, bigint. -#}
{% macro weeks_between(from_date, to_date) -%}
    cast(ceil({{ days_between(from_date, to_date) }} / 7.0) as bigint)
{%- endmacro %}
