{{ config(materialized='incremental', incremental_strategy='replace', meta={'replaced':
    "replaced.loan_id in (select loan_id from intermediate.int_changes__loans)"
}) }}

-- How far the money of each state reaches into the schedule: instalments covered, and principal paid to the cent.
with states as (
    select
        states.loan_id,
        states.state_no,
        states.valid_from_date,
        coalesce(
            lead(states.valid_from_date) over (partition by states.loan_id order by states.state_no),
            cast('9999-12-31' as date)
        ) as valid_to_date,
        states.paid_amount,
        greatest(states.paid_amount, 0) as money_amount,
        states.last_payment_date,
        met.covered_installment_count,
        lifespans.installment_count,
        lifespans.scheduled_principal_amount,
        lifespans.total_due_amount
    from {{ ref('int_payments__by_state') }} as states
    inner join {{ ref('int_payments__meet_installments') }} as met
        on states.loan_id = met.loan_id
        and states.state_no = met.state_no
    inner join {{ ref('int_loans__lifespans') }} as lifespans on states.loan_id = lifespans.loan_id
    {{ changed_rows('states.loan_id') }}
),

-- The oldest instalment that is not covered takes what is left after the covered ones.
reached as (
    select
        states.*,
        oldest_open.due_date as oldest_uncovered_due_date,
        coalesce(oldest_open.cumulative_due_amount - oldest_open.due_amount, states.total_due_amount) as covered_due_amount,
        case
            when oldest_open.loan_id is not null then
                oldest_open.cumulative_principal_amount - oldest_open.principal_due_amount
                + {{ allocated_component(
                    'greatest(states.money_amount - (oldest_open.cumulative_due_amount - oldest_open.due_amount), 0)',
                    'principal',
                    'oldest_open',
                ) }}
            -- Without a schedule all money is principal.
            when states.installment_count = 0 then least(states.money_amount, states.scheduled_principal_amount)
            else states.scheduled_principal_amount
        end as covered_principal_amount
    from states
    left join {{ ref('int_installments__scheduled') }} as oldest_open
        on states.loan_id = oldest_open.loan_id
        and oldest_open.installment_rank = states.covered_installment_count + 1
),

-- Rare: an instalment counts as covered although a cent within the tolerance is missing. The cent is still owed.
missing as (
    select
        reached.loan_id,
        reached.state_no,
        sum(installments.principal_due_amount - {{ allocated_component(
            'greatest(reached.money_amount - (installments.cumulative_due_amount - installments.due_amount), 0)',
            'principal',
            'installments',
        ) }}) as principal_amount
    from reached
    inner join {{ ref('int_installments__scheduled') }} as installments
        on reached.loan_id = installments.loan_id
        and installments.installment_rank <= reached.covered_installment_count
        and installments.cumulative_due_amount > reached.money_amount
    where reached.money_amount < reached.covered_due_amount
    group by reached.loan_id, reached.state_no
)

select
    reached.loan_id,
    reached.state_no,
    reached.valid_from_date,
    reached.valid_to_date,
    reached.paid_amount,
    reached.last_payment_date,
    reached.covered_installment_count,
    reached.oldest_uncovered_due_date,
    {{ money('reached.covered_principal_amount - coalesce(missing.principal_amount, 0)') }} as covered_principal_amount
from reached
left join missing
    on reached.loan_id = missing.loan_id
    and reached.state_no = missing.state_no
