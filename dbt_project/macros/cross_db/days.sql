{#- Whole days from one date to another, bigint. -#}
{% macro days_between(from_date, to_date) -%}
    {{ return(adapter.dispatch('days_between', 'puntual')(from_date, to_date)) }}
{%- endmacro %}

{% macro default__days_between(from_date, to_date) -%}
    cast(({{ to_date }}) - ({{ from_date }}) as bigint)
{%- endmacro %}

{#- A date some whole days later (earlier when negative), date. -#}
{% macro add_days(date_expression, days) -%}
    {{ return(adapter.dispatch('add_days', 'puntual')(date_expression, days)) }}
{%- endmacro %}

{% macro default__add_days(date_expression, days) -%}
    cast(({{ date_expression }}) + ({{ days }}) as date)
{%- endmacro %}

{#- Days since 1970-01-01, bigint: a date as a number that a window can be ordered by. -#}
{% macro day_number(date_expression) -%}
    {{ days_between("cast('1970-01-01' as date)", date_expression) }}
{%- endmacro %}
