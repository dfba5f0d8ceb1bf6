{{ config(materialized='incremental', incremental_strategy='replace', meta={'replaced':
    "replaced.loan_id in (select loan_id from intermediate.int_changes__loans)"
}) }}

with payments as (
    select
        payments.*,
        lifespans.branch_id,
        lifespans.product_code,
        {{ past_due_days_before('payments.paid_date', 'states', 'lifespans') }} as past_due_days
    from {{ ref('int_payments__signed') }} as payments
    cross join {{ source('control', 'run_parameters') }} as run
    inner join {{ ref('int_loans__lifespans') }} as lifespans on payments.loan_id = lifespans.loan_id
    -- Each day with payments ends the state before it.
    inner join {{ ref('int_payments__allocated') }} as states
        on payments.loan_id = states.loan_id
        and payments.paid_date = states.valid_to_date
    where payments.paid_date <= run.as_of_date
    {{ changed_rows('payments.loan_id', clause='and') }}
)

select
    payments.payment_id,
    payments.loan_id,
    payments.customer_id,
    payments.branch_id,
    payments.product_code,
    payments.paid_date,
    payments.paid_at,
    payments.payment_amount,
    payments.method_code,
    payments.is_reversal,
    payments.reverses_payment_id,
    payments.collector_id,
    payments.past_due_days,
    ladders.segment_code
from payments
left join {{ ref('int_past_due_days__ladders') }} as ladders
    on {{ ladder_day('payments.past_due_days') }} = ladders.past_due_days
