{{ config(materialized='incremental', incremental_strategy='replace', meta={'replaced':
    "replaced.customer_id in (select customer_id from raw.customers where _load_id > (select coalesce(built_load_id, -1) from control.run_parameters))"
}) }}

{{ newest_version(source('raw', 'customers'), ['customer_id'], [
    'customer_id',
    'national_id',
    'full_name',
    'birth_date',
    'gender',
    'marital_state',
    'province',
    'city',
    'urban as is_urban',
    'occupation',
    'monthly_income as monthly_income_amount',
    'member_since as member_since_date',
    'branch_id',
    'language as language_code',
    'timezone',
    'party as party_code',
    'status as customer_status_code',
]) }}
