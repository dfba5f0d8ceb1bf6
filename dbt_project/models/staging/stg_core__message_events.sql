{{ newest_version(source('raw', 'message_events'), ['message_event_id'], [
    'message_event_id',
    'interaction_id',
    'status as status_code',
    'ranked.at as occurred_at',
    'error_code',
]) }}
