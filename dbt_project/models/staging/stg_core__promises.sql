{{ config(materialized='incremental', incremental_strategy='replace', meta={'replaced':
    "replaced.promise_id in (select promise_id from raw.promises where _load_id > (select coalesce(built_load_id, -1) from control.run_parameters))"
}) }}

{{ newest_version(source('raw', 'promises'), ['promise_id'], [
    'promise_id',
    'interaction_id',
    'loan_id',
    'made_at',
    'due_on as due_date',
    'amount as promised_amount',
]) }}
