{{ config(alias='fct_payments') }}
select
    {{ date_key('payments.paid_date') }} as date_key,
    {{ hash_key('loans.loan_id') }} as loan_key,
    {{ hash_key('customers.customer_id') }} as customer_key,
    {{ hash_key('payments.branch_id') }} as branch_key,
    {{ hash_key('payments.product_code') }} as product_key,
    {{ hash_key('payments.segment_code') }} as segment_key,
    {{ hash_key('payments.collector_id') }} as collector_key,
    payments.payment_id,
    payments.paid_date,
    payments.paid_at,
    payments.loan_id,
    payments.customer_id,
    payments.branch_id,
    payments.product_code,
    payments.segment_code,
    payments.collector_id,
    payments.past_due_days,
    payments.payment_amount,
    payments.method_code,
    payments.is_reversal,
    payments.reverses_payment_id
from {{ ref('fct_payments') }} as payments
left join {{ ref('dim_loans') }} as loans on payments.loan_id = loans.loan_id
left join {{ ref('dim_customers') }} as customers on payments.customer_id = customers.customer_id
