{{ config(alias='dim_collectors') }}
-- Whoever brought a payment, held a contact or was given one is kept, delivered or not; names of people stay inside.
with named as (
    select collector_id from {{ ref('dim_collectors') }}
    union
    select collector_id from {{ ref('fct_interactions') }} where collector_id is not null
    union
    select collector_id from {{ ref('fct_payments') }} where collector_id is not null
    union
    select collector_id from {{ source('decisions', 'decisions') }} where collector_id is not null
)

select
    {{ hash_key('named.collector_id') }} as collector_key,
    named.collector_id,
    collectors.team,
    collectors.kind_code,
    collectors.agency,
    collectors.channels,
    collectors.zone,
    collectors.languages,
    collectors.daily_capacity,
    collectors.active_from,
    collectors.active_to
from named
left join {{ ref('dim_collectors') }} as collectors on named.collector_id = collectors.collector_id
union all
{{ unknown_member(['collector_id', 'team']) }}
