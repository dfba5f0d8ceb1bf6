{#- Whether a date is the last day of its month. -#}
{% macro is_month_end(date_expression) -%}
    (extract(day from {{ add_days(date_expression, 1) }}) = 1)
{%- endmacro %}

{#- Whether a date is a Sunday, the last day of an ISO week; both engines count Sunday as 0. -#}
{% macro is_week_end(date_expression) -%}
    (extract(dow from {{ date_expression }}) = 0)
{%- endmacro %}
