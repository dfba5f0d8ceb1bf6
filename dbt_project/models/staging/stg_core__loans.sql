{{ config(materialized='incremental', incremental_strategy='replace', meta={'replaced':
    "replaced.loan_id in (select loan_id from raw.loans where _load_id > (select coalesce(built_load_id, -1) from control.run_parameters))"
}) }}

{{ newest_version(source('raw', 'loans'), ['loan_id'], [
    'loan_id',
    'customer_id',
    'product as product_code',
    'branch_id',
    'officer_id',
    'currency as currency_code',
    'principal as principal_amount',
    'annual_rate',
    'term_months',
    'disbursed_on as disbursed_date',
    'maturity_on as maturity_date',
    'collateral as collateral_code',
    'guarantor_id',
    'status as source_status_code',
    'closed_on as closed_date',
    'written_off_on as written_off_date',
    'restructured_on as restructured_date',
    'updated_at',
]) }}
