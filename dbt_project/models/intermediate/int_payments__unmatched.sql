{{ config(materialized='view') }}

-- The part of each payment that lies where no instalment is: above all dues of the loan, or below nothing.
with parts as (
    select
        reaches.*,
        direction * greatest(high_amount - greatest(low_amount, total_due_amount), 0) as above_amount,
        direction * greatest(least(high_amount, 0) - low_amount, 0) as below_amount
    from {{ ref('int_payments__reaches') }} as reaches
)

select
    payment_id,
    loan_id,
    customer_id,
    paid_date,
    payment_amount,
    is_reversal,
    {{ money('above_amount + below_amount') }} as unmatched_amount,
    case
        when below_amount <> 0 then 'reversal_without_payment'
        when installment_count = 0 then 'no_schedule'
        else 'overpaid'
    end as reason_code
from parts
where above_amount + below_amount <> 0
