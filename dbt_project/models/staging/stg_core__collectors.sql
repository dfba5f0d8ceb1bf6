{{ newest_version(source('raw', 'collectors'), ['collector_id'], [
    'collector_id',
    'full_name',
    'team',
    'kind as kind_code',
    'agency',
    'channels',
    'zone',
    'languages',
    'daily_capacity',
    'active_from',
    'active_to',
]) }}
