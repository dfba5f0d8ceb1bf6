{{ config(materialized='incremental', incremental_strategy='replace', meta={'replaced':
    "replaced.payment_id in (select payment_id from raw.payments where _load_id > (select coalesce(built_load_id, -1) from control.run_parameters))"
}) }}

{{ newest_version(source('raw', 'payments'), ['payment_id'], [
    'payment_id',
    'loan_id',
    'paid_at',
    'amount as payment_amount',
    'method as method_code',
    'reverses_payment_id',
    'collector_id',
]) }}
