{#-
  After a table is built: PostgreSQL plans the next models blindly until it has been analysed. DuckDB needs nothing.
  A day's increment leaves the statistics of a big table as good as they were.
-#}
{% macro gather_statistics() -%}
    {{ return(adapter.dispatch('gather_statistics', 'puntual')()) }}
{%- endmacro %}

{% macro default__gather_statistics() -%}{%- endmacro %}

{% macro postgres__gather_statistics() -%}
    {%- if config.get('materialized') in ['table', 'incremental'] and not is_incremental() -%}
        analyze {{ this }}
    {%- endif -%}
{%- endmacro %}
