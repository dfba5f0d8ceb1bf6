{{ config(tags=['training']) }}

-- Late on some day of (T, T + horizon]: a spell of the threshold began by its end and lasted beyond the day after T.
with marks as (
    select
        arrears.as_of_date,
        arrears.loan_id,
        arrears.past_due_days,
        lifespans.closed_date,
        lifespans.written_off_date,
        run.as_of_date as known_to_date
    from {{ ref('int_loans__arrears') }} as arrears
    inner join {{ ref('int_loans__lifespans') }} as lifespans on arrears.loan_id = lifespans.loan_id
    cross join {{ source('control', 'run_parameters') }} as run
    where arrears.is_risk_training
),

late as (
    select
        marks.loan_id,
        marks.as_of_date,
        max(case
            when spells.threshold_days = {{ var('default_past_due_days') }}
                and spells.entered_date <= {{ add_days('marks.as_of_date', var('default_horizon_days')) }}
                then 1 else 0
        end) as is_default,
        max(case
            when spells.threshold_days = {{ var('early_past_due_days') }}
                and spells.entered_date <= {{ add_days('marks.as_of_date', var('early_horizon_days')) }}
                then 1 else 0
        end) as is_early_default
    from marks
    inner join {{ ref('int_loans__past_due_spells') }} as spells
        on marks.loan_id = spells.loan_id
        and spells.left_date > {{ add_days('marks.as_of_date', 1) }}
        and spells.entered_date <= marks.known_to_date
        -- What is closed owes nothing.
        and (marks.closed_date is null or spells.entered_date < marks.closed_date)
        and (marks.closed_date is null or marks.closed_date > {{ add_days('marks.as_of_date', 1) }})
    group by marks.loan_id, marks.as_of_date
)

select
    marks.as_of_date,
    marks.loan_id,
    marks.past_due_days < {{ var('default_past_due_days') }} as is_below_threshold,
    coalesce(late.is_default, 0) = 1
    or coalesce(
        marks.written_off_date <= least({{ add_days('marks.as_of_date', var('default_horizon_days')) }}, marks.known_to_date),
        false
    ) as is_default,
    {{ add_days('marks.as_of_date', var('default_horizon_days')) }} <= marks.known_to_date as is_matured,
    marks.past_due_days < {{ var('early_past_due_days') }} as is_below_early,
    coalesce(late.is_early_default, 0) = 1
    or coalesce(
        marks.written_off_date <= least({{ add_days('marks.as_of_date', var('early_horizon_days')) }}, marks.known_to_date),
        false
    ) as is_early_default,
    {{ add_days('marks.as_of_date', var('early_horizon_days')) }} <= marks.known_to_date as is_early_matured
from marks
left join late
    on marks.loan_id = late.loan_id
    and marks.as_of_date = late.as_of_date
