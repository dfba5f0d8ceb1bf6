{{ config(materialized='incremental', incremental_strategy='replace', meta={'replaced':
    "(replaced.loan_id, replaced.as_of_date) in (select loan_id, as_of from raw.loan_balances where _load_id > (select coalesce(built_load_id, -1) from control.run_parameters))"
}) }}

{{ newest_version(source('raw', 'loan_balances'), ['loan_id', 'as_of'], [
    'loan_id',
    'as_of as as_of_date',
    'outstanding_principal as outstanding_principal_amount',
    'arrears_amount',
    'days_past_due as past_due_days',
]) }}
