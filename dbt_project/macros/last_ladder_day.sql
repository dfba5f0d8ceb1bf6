{#- The last number of past-due days that the ladders list, a hundred years; more days stand on the same rung. -#}
{% macro last_ladder_day() -%}
    36524
{%- endmacro %}
