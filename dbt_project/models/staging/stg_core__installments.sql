{{ config(materialized='incremental', incremental_strategy='replace', meta={'replaced':
    "(replaced.loan_id, replaced.installment_no) in (select loan_id, installment_no from raw.installments where _load_id > (select coalesce(built_load_id, -1) from control.run_parameters))"
}) }}

{{ newest_version(source('raw', 'installments'), ['loan_id', 'installment_no'], [
    'loan_id',
    'installment_no',
    'due_on as due_date',
    'principal_due as principal_due_amount',
    'interest_due as interest_due_amount',
    'fees_due as fees_due_amount',
]) }}
