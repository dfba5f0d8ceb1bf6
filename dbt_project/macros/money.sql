{#- Money as numeric(18, 2): the result of sum() or of an expression has another precision on every engine. -#}
{% macro money(expression) -%}
    cast({{ expression }} as numeric(18, 2))
{%- endmacro %}
