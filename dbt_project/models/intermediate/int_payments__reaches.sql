{{ config(materialized='incremental', incremental_strategy='replace', meta={'replaced':
    "replaced.loan_id in (select loan_id from intermediate.int_changes__loans)"
}) }}

-- From which to which amount of all net payments of its loan each payment reaches, in the order of time. Of several at one
-- moment money comes before its reversal, then the key decides.
with ordered as (
    select
        payments.payment_id,
        payments.loan_id,
        payments.customer_id,
        payments.paid_date,
        payments.payment_amount,
        payments.is_reversal,
        sum(payments.payment_amount) over (
            partition by payments.loan_id
            order by
                payments.paid_at,
                case when payments.is_reversal then 1 else 0 end,
                {{ bytewise('payments.payment_id') }}
            rows between unbounded preceding and current row
        ) as paid_amount
    from {{ ref('int_payments__signed') }} as payments
    cross join {{ source('control', 'run_parameters') }} as run
    where payments.paid_date <= run.as_of_date
    {{ changed_rows('payments.loan_id', clause='and') }}
)

select
    ordered.payment_id,
    ordered.loan_id,
    ordered.customer_id,
    ordered.paid_date,
    ordered.payment_amount,
    ordered.is_reversal,
    cast(case when ordered.payment_amount < 0 then -1 else 1 end as bigint) as direction,
    {{ money('least(ordered.paid_amount, ordered.paid_amount - ordered.payment_amount)') }} as low_amount,
    {{ money('greatest(ordered.paid_amount, ordered.paid_amount - ordered.payment_amount)') }} as high_amount,
    lifespans.installment_count,
    {{ money('case when lifespans.installment_count > 0 then lifespans.total_due_amount else 0 end') }} as total_due_amount
from ordered
inner join {{ ref('int_loans__lifespans') }} as lifespans on ordered.loan_id = lifespans.loan_id
