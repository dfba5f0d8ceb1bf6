{#- A UTC timestamp (without zone) as the wall clock of the institution, without zone. -#}
{% macro local_timestamp(expression) -%}
    {{ return(adapter.dispatch('local_timestamp', 'puntual')(expression)) }}
{%- endmacro %}

{% macro default__local_timestamp(expression) -%}
    (({{ expression }} at time zone 'UTC') at time zone '{{ var("timezone") }}')
{%- endmacro %}

{#- The calendar day of a UTC timestamp where the institution is. -#}
{% macro local_date(expression) -%}cast({{ local_timestamp(expression) }} as date){%- endmacro %}
