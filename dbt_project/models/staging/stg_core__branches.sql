{{ newest_version(source('raw', 'branches'), ['branch_id'], [
    'branch_id',
    'name as branch_name',
    'province',
    'latitude',
    'longitude',
]) }}
