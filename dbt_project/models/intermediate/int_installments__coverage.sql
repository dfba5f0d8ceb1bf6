{{ config(materialized='view') }}

select
    installments.loan_id,
    installments.installment_no,
    installments.due_date,
    installments.principal_due_amount,
    installments.interest_due_amount,
    installments.fees_due_amount,
    installments.due_amount,
    installments.cumulative_due_amount,
    spans.covered_date
from {{ ref('int_installments__scheduled') }} as installments
left join {{ ref('int_installments__coverage_spans') }} as spans
    on installments.loan_id = spans.loan_id
    and installments.installment_no = spans.installment_no
    and spans.valid_to_date = cast('9999-12-31' as date)
