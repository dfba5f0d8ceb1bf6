-- How far the money of each day with payments reaches into the schedule, and day zero: before any payment.
-- Dues and payments are laid along one axis, money: an instalment stands at the cumulative due that covers it, a day at
-- what had been paid by then. Counting instalments up to a day's place says how many are covered; one sort does it.
with states as (
    select
        loan_id,
        cast(0 as bigint) as state_no,
        cast('1900-01-01' as date) as valid_from_date,
        {{ money('0') }} as paid_amount,
        cast(null as date) as last_payment_date
    from {{ ref('int_loans__lifespans') }}

    union all

    select
        loan_id,
        state_no,
        paid_date as valid_from_date,
        paid_amount,
        last_payment_date
    from {{ ref('int_payments__accumulated') }}
),

most_paid as (
    select
        loan_id,
        max(paid_amount) + {{ tolerance() }} as reach_amount
    from states
    group by loan_id
),

positions as (
    -- Instalments that no payment ever reached cannot be counted by any day.
    select
        installments.loan_id,
        installments.cumulative_due_amount as position_amount,
        0 as kind,
        cast(null as bigint) as state_no,
        1 as installment_count
    from {{ ref('int_installments__scheduled') }} as installments
    inner join most_paid
        on installments.loan_id = most_paid.loan_id
        and installments.cumulative_due_amount <= most_paid.reach_amount

    union all

    -- Kind 1 is exact and splits the money; kind 2 forgives the tolerance and decides what is past due.
    select loan_id, greatest(paid_amount, 0), 1, state_no, 0 from states

    union all

    select loan_id, greatest(paid_amount, 0) + {{ tolerance() }}, 2, state_no, 0 from states
),

counted as (
    select
        loan_id,
        state_no,
        kind,
        sum(installment_count) over (
            partition by loan_id
            order by position_amount, kind
            rows between unbounded preceding and current row
        ) as reached_count
    from positions
),

reached as (
    select
        loan_id,
        state_no,
        cast(max(case when kind = 1 then reached_count end) as bigint) as full_count,
        cast(max(case when kind = 2 then reached_count end) as bigint) as covered_count
    from counted
    where kind > 0
    group by loan_id, state_no
)

select
    states.loan_id,
    states.state_no,
    states.valid_from_date,
    states.paid_amount,
    states.last_payment_date,
    reached.covered_count as covered_installment_count,
    oldest_open.due_date as oldest_uncovered_due_date,
    {{ money('case
        when partly.loan_id is null then least(lifespans.scheduled_principal_amount, case
            when lifespans.installment_count = 0 then greatest(states.paid_amount, 0)
            else lifespans.scheduled_principal_amount
        end)
        else partly.cumulative_principal_amount - partly.principal_due_amount + ' ~ allocated_component(
            'greatest(states.paid_amount, 0) - (partly.cumulative_due_amount - partly.due_amount)', 'principal', 'partly'
        ) ~ '
    end') }} as covered_principal_amount
from states
inner join {{ ref('int_loans__lifespans') }} as lifespans on states.loan_id = lifespans.loan_id
inner join reached
    on states.loan_id = reached.loan_id
    and states.state_no = reached.state_no
left join {{ ref('int_installments__scheduled') }} as partly
    on states.loan_id = partly.loan_id
    and partly.installment_rank = reached.full_count + 1
left join {{ ref('int_installments__scheduled') }} as oldest_open
    on states.loan_id = oldest_open.loan_id
    and oldest_open.installment_rank = reached.covered_count + 1
