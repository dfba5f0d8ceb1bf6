{{ config(materialized='view') }}

-- Contacts of filled work lists that the core tells too: the same member, channel, collector, local day and outcome. The
-- core's row stays. Of another outcome both stay: nothing that was said is lost, and caps err on the strict side.
with pairs as (
    select
        listed.interaction_id,
        told.interaction_id as kept_interaction_id,
        row_number() over (
            partition by listed.interaction_id order by {{ bytewise('told.interaction_id') }}
        ) as place
    from {{ ref('stg_core__interactions') }} as listed
    inner join {{ ref('stg_core__interactions') }} as told
        on listed.customer_id = told.customer_id
        and listed.channel_code = told.channel_code
        and listed.direction_code = told.direction_code
        and listed.outcome_code = told.outcome_code
        and {{ local_date('listed.occurred_at') }} = {{ local_date('told.occurred_at') }}
    where
        {{ is_from_list('listed.interaction_id') }}
        and not ({{ is_from_list('told.interaction_id') }})
        -- Some cores do not say who called.
        and (told.collector_id is null or told.collector_id = listed.collector_id)
)

select interaction_id, kept_interaction_id
from pairs
where place = 1
