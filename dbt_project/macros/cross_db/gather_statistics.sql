{#- After a table is built: PostgreSQL plans the next models blindly until it has been analysed. DuckDB needs nothing. -#}
{% macro gather_statistics() -%}
    {{ return(adapter.dispatch('gather_statistics', 'puntual')()) }}
{%- endmacro %}

{% macro default__gather_statistics() -%}{%- endmacro %}

{% macro postgres__gather_statistics() -%}
    {%- if config.get('materialized') == 'table' -%}
        analyze {{ this }}
    {%- endif -%}
{%- endmacro %}
