{#- A sum as double precision, rounded to nine decimals: the last bits of a sum of doubles depend on the order of its rows. -#}
{% macro steady_double(expression) -%}
    cast(cast({{ expression }} as numeric(38, 9)) as double precision)
{%- endmacro %}
