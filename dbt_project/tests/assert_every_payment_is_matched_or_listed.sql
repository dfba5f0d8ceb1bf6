{{ config(meta={'dagster': {'ref': {'name': 'fct_payment_matches'}}}) }}
-- What a payment paid and what no instalment took are the payment, and no instalment is paid beyond what it asks for.
with parts as (
    select payment_id, matched_amount as amount from {{ ref('fct_payment_matches') }}
    union all
    select payment_id, unmatched_amount from {{ ref('int_payments__unmatched') }}
),

told as (
    select payment_id, sum(amount) as amount
    from parts
    group by payment_id
),

paid as (
    select loan_id, installment_no, sum(matched_amount) as amount
    from {{ ref('fct_payment_matches') }}
    group by loan_id, installment_no
)

select payments.loan_id, payments.payment_id as reference
from {{ ref('fct_payments') }} as payments
left join told on payments.payment_id = told.payment_id
where payments.payment_amount <> coalesce(told.amount, 0)

union all

select paid.loan_id, cast(paid.installment_no as text) as reference
from paid
inner join {{ ref('int_installments__scheduled') }} as installments
    on paid.loan_id = installments.loan_id
    and paid.installment_no = installments.installment_no
where paid.amount < 0 or paid.amount > installments.due_amount
