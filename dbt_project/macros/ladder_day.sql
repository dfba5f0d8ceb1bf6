{#- The last number of past-due days that the ladders list, a hundred years; more days stand on the same rung. -#}
{% macro last_ladder_day() -%}
    36524
{%- endmacro %}

{#- The number of past-due days under which int_past_due_days__ladders has them; NULL stays NULL, which least() would not keep. -#}
{% macro ladder_day(past_due_days) -%}
    case when {{ past_due_days }} > {{ last_ladder_day() }} then {{ last_ladder_day() }} else {{ past_due_days }} end
{%- endmacro %}
