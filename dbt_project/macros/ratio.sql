{#- Share or quotient as double precision; NULL where the denominator is 0. Integer division differs between engines. -#}
{% macro ratio(numerator, denominator) -%}
    (cast({{ numerator }} as double precision) / nullif(cast({{ denominator }} as double precision), 0))
{%- endmacro %}
