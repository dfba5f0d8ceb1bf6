{{ config(materialized='incremental', incremental_strategy='replace', meta={'replaced':
    "replaced.loan_id in (select loan_id from intermediate.int_changes__loans)"
}) }}

-- The dates at which a loan enters and leaves the book. Payments after the run's date count here: a loan that a later file
-- calls closed was open until then.
with last_payments as (
    select
        loan_id,
        max(paid_date) as last_paid_date
    from {{ ref('int_payments__signed') }}
    {{ changed_rows('loan_id') }}
    group by loan_id
),

schedules as (
    select
        loan_id,
        count(*) as installment_count,
        {{ money('sum(principal_due_amount)') }} as scheduled_principal_amount,
        {{ money('sum(due_amount)') }} as total_due_amount
    from {{ ref('int_installments__scheduled') }}
    {{ changed_rows('loan_id') }}
    group by loan_id
)

select
    loans.loan_id,
    loans.customer_id,
    loans.branch_id,
    loans.product_code,
    loans.currency_code,
    loans.disbursed_date,
    {{ written_off_date('loans') }} as written_off_date,
    {{ closed_date('loans', 'last_payments.last_paid_date') }} as closed_date,
    loans.restructured_date,
    {{ money('loans.principal_amount') }} as principal_amount,
    -- A loan without a schedule has nothing that falls due; what is left of it is what was lent.
    coalesce(schedules.scheduled_principal_amount, {{ money('loans.principal_amount') }}) as scheduled_principal_amount,
    coalesce(schedules.total_due_amount, {{ money('loans.principal_amount') }}) as total_due_amount,
    cast(coalesce(schedules.installment_count, 0) as bigint) as installment_count
from {{ ref('stg_core__loans') }} as loans
left join schedules on loans.loan_id = schedules.loan_id
left join last_payments on loans.loan_id = last_payments.loan_id
{{ changed_rows('loans.loan_id') }}
