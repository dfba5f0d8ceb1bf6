{#-
  Past-due days at the end of a day of a loan whose oldest instalment not covered falls due on `due_date` (NULL: none), bigint.
  The day after the due date is 1; with the setting due_day_is_past_due the due date itself is.
-#}
{% macro past_due_days(due_date, as_of_date) -%}
    greatest(coalesce({{ days_between(due_date, as_of_date) }} + {{ past_due_shift() }}, cast(0 as bigint)), cast(0 as bigint))
{%- endmacro %}

{#- By how many days an instalment is past due earlier than on the day after its due date: 0, or 1 by the setting. -#}
{% macro past_due_shift() -%}
    {{ return(1 if var('due_day_is_past_due') else 0) }}
{%- endmacro %}
