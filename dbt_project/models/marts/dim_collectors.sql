select
    collector_id,
    full_name,
    team,
    kind_code,
    agency,
    channels,
    zone,
    languages,
    cast(daily_capacity as bigint) as daily_capacity,
    branch_id,
    latitude,
    longitude,
    active_from,
    active_to
from {{ ref('stg_core__collectors') }}
