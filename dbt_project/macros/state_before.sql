{#-
  Past-due days of a loan at the end of the day before `day`, from its state then (a row of int_payments__allocated valid on
  that day) and its lifespan; NULL when it was not disbursed yet, bigint.
-#}
{% macro past_due_days_before(day, state, lifespan) -%}
    case
        when {{ lifespan }}.disbursed_date >= {{ day }} then null
        when {{ loan_status(lifespan, add_days(day, -1)) }} = 'closed' then cast(0 as bigint)
        else {{ past_due_days(state ~ '.oldest_uncovered_due_date', add_days(day, -1)) }}
    end
{%- endmacro %}

{#- Whether a state of a loan was the one at the end of the day before `day`. -#}
{% macro is_state_before(state, day) -%}
    ({{ state }}.valid_from_date < {{ day }} and {{ state }}.valid_to_date >= {{ day }})
{%- endmacro %}
