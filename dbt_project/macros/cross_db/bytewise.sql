{#- A text compared and ordered by its bytes: DuckDB always does, PostgreSQL follows the database's language. -#}
{% macro bytewise(expression) -%}
    {{ return(adapter.dispatch('bytewise', 'puntual')(expression)) }}
{%- endmacro %}

{% macro default__bytewise(expression) -%}{{ expression }}{%- endmacro %}

{% macro postgres__bytewise(expression) -%}({{ expression }}) collate "C"{%- endmacro %}
