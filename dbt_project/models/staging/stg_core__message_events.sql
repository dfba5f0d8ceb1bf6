{{ config(materialized='incremental', incremental_strategy='replace', meta={'replaced':
    "replaced.message_event_id in (select message_event_id from raw.message_events where _load_id > (select coalesce(built_load_id, -1) from control.run_parameters))"
}) }}

{{ newest_version(source('raw', 'message_events'), ['message_event_id'], [
    'message_event_id',
    'interaction_id',
    'status as status_code',
    'ranked.at as occurred_at',
    'error_code',
]) }}
