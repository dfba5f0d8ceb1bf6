{% set weeks = var('willingness_weeks') %}
{#-
  A week begins at the end of a day and ends seven days later; the last one ends on the day before the run's date. A loan
  changes only where a payment or a due date falls, about once in two weeks: it is looked at there, what owes nothing is
  left out, and only the rest is spread over its weeks. Built whole every day: the weeks end on another day then.
-#}
with run as (
    select
        {{ add_days('as_of_date', -1) }} as last_date,
        {{ add_days('as_of_date', -1 - 7 * weeks) }} as first_date
    from {{ source('control', 'run_parameters') }}
),

-- All places of a week within a stretch of weeks, by the length of the stretch: spreading is then a join on equal keys.
stretches as (
    select
        cast(lengths.week_count as bigint) as week_count,
        cast(places.week_place as bigint) as week_place
    from generate_series(1, {{ weeks }}) as lengths (week_count)
    inner join generate_series(0, {{ weeks - 1 }}) as places (week_place) on places.week_place < lengths.week_count
),

-- The first week that begins with a payment already made, or in which an instalment falls due.
changes as (
    select
        states.loan_id,
        greatest({{ weeks_between('run.first_date', 'states.valid_from_date') }}, 0) as week_no,
        max(states.state_no) as state_no,
        cast(null as bigint) as installment_rank
    from {{ ref('int_payments__allocated') }} as states
    inner join run on states.valid_from_date <= run.last_date
    group by 1, 2

    union all

    select
        installments.loan_id,
        greatest({{ weeks_between('run.first_date', 'installments.due_date') }} - 1, 0) as week_no,
        cast(null as bigint) as state_no,
        max(installments.installment_rank) as installment_rank
    from {{ ref('int_installments__scheduled') }} as installments
    inner join run on installments.due_date <= run.last_date
    group by 1, 2
),

steps as (
    select
        loan_id,
        week_no,
        max(state_no) as state_no,
        max(installment_rank) as installment_rank
    from changes
    group by loan_id, week_no
),

carried as (
    select
        loan_id,
        week_no,
        max(state_no) over so_far as state_no,
        max(installment_rank) over so_far as installment_rank,
        lead(week_no) over by_week as next_week_no,
        lead(state_no) over by_week as next_state_no
    from steps
    window
        by_week as (partition by loan_id order by week_no),
        so_far as (partition by loan_id order by week_no rows between unbounded preceding and current row)
),

owing as (
    select
        carried.loan_id,
        lifespans.customer_id,
        greatest(carried.week_no, {{ weeks_between('run.first_date', 'lifespans.disbursed_date') }}) as from_week_no,
        least(
            coalesce(carried.next_week_no, {{ weeks }}),
            {{ weeks_between('run.first_date', 'coalesce(least(lifespans.written_off_date, lifespans.closed_date), run.last_date)') }},
            {{ weeks }}
        ) as to_week_no,
        carried.next_week_no,
        states.oldest_uncovered_due_date,
        installments.cumulative_due_amount - greatest(states.paid_amount, 0) as collectable_amount,
        installments.due_amount as installment_amount,
        coalesce(next_states.paid_amount - states.paid_amount, 0) as paid_amount
    from carried
    cross join run
    inner join {{ ref('int_loans__lifespans') }} as lifespans on carried.loan_id = lifespans.loan_id
    inner join {{ ref('int_payments__allocated') }} as states
        on carried.loan_id = states.loan_id
        and carried.state_no = states.state_no
    inner join {{ ref('int_installments__scheduled') }} as installments
        on carried.loan_id = installments.loan_id
        and carried.installment_rank = installments.installment_rank
    left join {{ ref('int_payments__allocated') }} as next_states
        on carried.loan_id = next_states.loan_id
        and carried.next_state_no = next_states.state_no
    where installments.cumulative_due_amount - greatest(states.paid_amount, 0) > {{ tolerance() }}
),

loan_weeks as (
    select
        owing.customer_id,
        {{ add_days('run.first_date', 'cast(7 * (owing.from_week_no + stretches.week_place) as integer)') }} as week_start_date,
        owing.oldest_uncovered_due_date,
        owing.collectable_amount,
        owing.installment_amount,
        -- What is paid within a week is there when the next one begins.
        case when owing.from_week_no + stretches.week_place + 1 = owing.next_week_no then owing.paid_amount else 0 end
            as paid_amount
    from owing
    cross join run
    inner join stretches on owing.to_week_no - owing.from_week_no = stretches.week_count
)

select
    {{ add_days('week_start_date', 7) }} as week_end_date,
    customer_id,
    count(*) as owing_loan_count,
    {{ days_between('min(oldest_uncovered_due_date)', 'week_start_date') }} as days_since_due,
    {{ money('sum(collectable_amount)') }} as collectable_amount,
    {{ money('sum(installment_amount)') }} as installment_amount,
    {{ money('sum(paid_amount)') }} as paid_amount
from loan_weeks
group by week_start_date, customer_id
