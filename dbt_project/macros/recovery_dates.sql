{#-
  Whether a weekly training date is one that expected recovery learns from: every fourth, counted back from the newest whose
  whole horizon ended before the run's date, since the payments of the run's own date are not complete.
-#}
{% macro is_recovery_training(is_channel_training, as_of_date, run_date) -%}
    {%- set newest_age_days = 1 + 7 * ((var('expected_recovery_horizon_days') + 6) // 7) -%}
    ({{ is_channel_training }}
        and {{ days_between(as_of_date, run_date) }} >= {{ newest_age_days }}
        and ({{ days_between(as_of_date, run_date) }} - {{ newest_age_days }}) % 28 = 0)
{%- endmacro %}

{#- Whether a loan is in arrears or near them: something is overdue or falls due within the response window. -#}
{% macro is_near_arrears(arrears) -%}
    ({{ arrears }}.arrears_amount + {{ arrears }}.due_next_window_amount > 0)
{%- endmacro %}
