{{ newest_version(source('raw', 'holidays'), ['country', 'date'], [
    'country',
    'ranked.date as holiday_date',
    'name as holiday_name',
]) }}
