{{ config(materialized='incremental', incremental_strategy='replace', meta={'replaced':
    "replaced.interaction_id in (select interaction_id from raw.interactions where _load_id > (select coalesce(built_load_id, -1) from control.run_parameters))"
}) }}

{{ newest_version(source('raw', 'interactions'), ['interaction_id'], [
    'interaction_id',
    'customer_id',
    'loan_id',
    'occurred_at',
    'channel as channel_code',
    'direction as direction_code',
    'collector_id',
    'campaign_id',
    'outcome as outcome_code',
    'duration_s as duration_seconds',
    'cost as cost_amount',
    'propensity',
    'notes',
]) }}
