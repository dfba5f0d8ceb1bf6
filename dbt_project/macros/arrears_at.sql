{#-
  The state of loans at the ends of days: a query with one row per row of `spine`, a relation or CTE with unique
  (loan_id, as_of_date).

  Dues, days with payments and the asked-for days are laid along one axis, time, sorted once and carried forward by
  windows, so any number of dates costs one sort. Within a day money comes first, then the end of the day that is asked
  for, then the dues of the day: an instalment is not past due on its due date, unless the setting due_day_is_past_due says
  so; then the dues of the day come before its end.

  Columns: loan_id, as_of_date, state_no (of int_payments__allocated), due_installment_count (due before the day),
  scheduled_amount and scheduled_principal_amount (due before the day), due_through_window_amount (due up to
  `window_days` after the day, inclusive).
-#}
{% macro arrears_at(spine, window_days) %}
select
    loan_id,
    as_of_date,
    state_no,
    due_installment_count,
    scheduled_amount,
    scheduled_principal_amount,
    due_through_window_amount
from (
    select
        loan_id,
        as_of_date,
        max(state_no) over until_now as state_no,
        coalesce(max(installment_rank) over until_now, 0) as due_installment_count,
        coalesce(max(cumulative_due_amount) over until_now, 0) as scheduled_amount,
        coalesce(max(cumulative_principal_amount) over until_now, 0) as scheduled_principal_amount,
        coalesce(
            max(cumulative_due_amount) over (
                partition by loan_id
                order by day_position
                range between unbounded preceding and {{ 4 * window_days + 1 }} following
            ),
            0
        ) as due_through_window_amount
    from (
        select
            loan_id,
            4 * {{ day_number('due_date') }} + {{ 0 if past_due_shift() else 2 }} as day_position,
            cast(null as date) as as_of_date,
            cast(null as bigint) as state_no,
            installment_rank,
            cumulative_due_amount,
            cumulative_principal_amount
        from {{ ref('int_installments__scheduled') }}
        where due_date <= (select {{ add_days('max(as_of_date)', window_days) }} from {{ spine }})

        union all

        select
            loan_id,
            4 * {{ day_number('valid_from_date') }},
            cast(null as date),
            state_no,
            null,
            null,
            null
        from {{ ref('int_payments__allocated') }}

        union all

        select
            loan_id,
            4 * {{ day_number('as_of_date') }} + 1,
            as_of_date,
            null,
            null,
            null,
            null
        from {{ spine }}
    ) as events
    window until_now as (
        partition by loan_id
        order by day_position
        range between unbounded preceding and current row
    )
) as placed
where as_of_date is not null
{% endmacro %}
