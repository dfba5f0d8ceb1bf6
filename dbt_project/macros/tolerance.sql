{#- The amount up to which a shortage does not count as owed. -#}
{% macro tolerance() -%}
    cast({{ var('tolerance_amount') }} as numeric(18, 2))
{%- endmacro %}
