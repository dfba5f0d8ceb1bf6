{{ config(materialized='incremental', incremental_strategy='replace', meta={'replaced':
    "replaced.loan_id in (select loan_id from intermediate.int_changes__loans where has_new_schedule)"
}) }}

-- Oldest first is by due date; the number breaks ties, because a schedule may ask for two things on one day.
with installments as (
    select
        loan_id,
        installment_no,
        due_date,
        {{ money('coalesce(principal_due_amount, 0)') }} as principal_due_amount,
        {{ money('coalesce(interest_due_amount, 0)') }} as interest_due_amount,
        {{ money('coalesce(fees_due_amount, 0)') }} as fees_due_amount,
        {{ money('coalesce(principal_due_amount, 0) + coalesce(interest_due_amount, 0) + coalesce(fees_due_amount, 0)') }}
            as due_amount
    from {{ ref('stg_core__installments') }}
    {{ changed_rows('loan_id', only='has_new_schedule') }}
)

select
    loan_id,
    installment_no,
    due_date,
    principal_due_amount,
    interest_due_amount,
    fees_due_amount,
    due_amount,
    row_number() over schedule as installment_rank,
    {{ money('sum(due_amount) over schedule') }} as cumulative_due_amount,
    {{ money('sum(principal_due_amount) over schedule') }} as cumulative_principal_amount
from installments
window schedule as (
    partition by loan_id
    order by due_date, installment_no
    rows between unbounded preceding and current row
)
