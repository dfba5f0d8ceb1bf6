select
    payments.payment_id,
    payments.loan_id,
    payments.customer_id,
    payments.paid_date,
    payments.paid_at,
    payments.payment_amount,
    payments.method_code,
    payments.is_reversal,
    payments.reverses_payment_id,
    payments.collector_id
from {{ ref('int_payments__signed') }} as payments
cross join {{ source('control', 'run_parameters') }} as run
where payments.paid_date <= run.as_of_date
