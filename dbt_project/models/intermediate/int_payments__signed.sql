{{ config(materialized='incremental', incremental_strategy='replace', meta={'replaced':
    "replaced.loan_id in (select loan_id from intermediate.int_changes__loans)"
}) }}

-- A reversal takes its amount away on its own day; the payment that it undoes stays where it was.
select
    payments.payment_id,
    payments.loan_id,
    loans.customer_id,
    {{ local_date('payments.paid_at') }} as paid_date,
    payments.paid_at,
    {{ money('case when payments.reverses_payment_id is null then payments.payment_amount else -payments.payment_amount end') }}
        as payment_amount,
    payments.method_code,
    payments.reverses_payment_id is not null as is_reversal,
    payments.reverses_payment_id,
    payments.collector_id
from {{ ref('stg_core__payments') }} as payments
inner join {{ ref('stg_core__loans') }} as loans on payments.loan_id = loans.loan_id
{{ changed_rows('payments.loan_id') }}
