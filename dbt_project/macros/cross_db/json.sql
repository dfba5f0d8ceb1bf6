{#- A value of a JSON object as text, NULL when the key is absent. `expression` is text. -#}
{% macro json_value(expression, key) -%}
    {{ return(adapter.dispatch('json_value', 'puntual')(expression, key)) }}
{%- endmacro %}

{% macro default__json_value(expression, key) -%}
    json_extract_string({{ expression }}, '$."{{ key }}"')
{%- endmacro %}

{% macro postgres__json_value(expression, key) -%}
    (cast({{ expression }} as jsonb) ->> '{{ key }}')
{%- endmacro %}

{#-
  A set of rows with the one column `element`, the texts of a JSON list, to be joined with `cross join lateral`.
  `expression` is text.
-#}
{% macro json_elements(expression) -%}
    {{ return(adapter.dispatch('json_elements', 'puntual')(expression)) }}
{%- endmacro %}

{% macro default__json_elements(expression) -%}
    (select unnest(from_json({{ expression }}, '["VARCHAR"]')) as element)
{%- endmacro %}

{% macro postgres__json_elements(expression) -%}
    (select jsonb_array_elements_text(cast({{ expression }} as jsonb)) as element)
{%- endmacro %}
