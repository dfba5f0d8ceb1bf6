{{ config(materialized='incremental', incremental_strategy='replace', meta={'replaced':
    "replaced.loan_id in (select loan_id from intermediate.int_changes__loans)"
}) }}

with days as (
    select
        payments.loan_id,
        payments.paid_date,
        {{ money('sum(payments.payment_amount)') }} as net_amount,
        cast(sum(case when payments.is_reversal then 0 else 1 end) as bigint) as payment_count
    from {{ ref('int_payments__signed') }} as payments
    cross join {{ source('control', 'run_parameters') }} as run
    where payments.paid_date <= run.as_of_date
    {{ changed_rows('payments.loan_id', clause='and') }}
    group by payments.loan_id, payments.paid_date
)

select
    loan_id,
    paid_date,
    net_amount,
    payment_count,
    row_number() over so_far as state_no,
    {{ money('sum(net_amount) over so_far') }} as paid_amount,
    max(case when payment_count > 0 then paid_date end) over so_far as last_payment_date
from days
window so_far as (
    partition by loan_id
    order by paid_date
    rows between unbounded preceding and current row
)
