with interactions as (
    select
        interactions.*,
        {{ local_timestamp('interactions.occurred_at') }} as occurred_local_at
    from {{ ref('stg_core__interactions') }} as interactions
)

select
    interactions.interaction_id,
    interactions.customer_id,
    interactions.loan_id,
    interactions.occurred_at,
    cast(interactions.occurred_local_at as date) as occurred_date,
    cast(extract(hour from interactions.occurred_local_at) as bigint) as occurred_hour,
    interactions.channel_code,
    interactions.direction_code,
    interactions.outcome_code,
    interactions.direction_code = 'outbound' as is_attempt,
    coalesce(outcomes.is_contact, false) as is_contact,
    coalesce(outcomes.is_right_party, false) as is_right_party,
    interactions.collector_id,
    interactions.campaign_id,
    {{ money('interactions.cost_amount') }} as cost_amount,
    cast(interactions.propensity as double precision) as propensity
from interactions
left join {{ ref('outcomes') }} as outcomes on interactions.outcome_code = outcomes.outcome_code
cross join {{ source('control', 'run_parameters') }} as run
where cast(interactions.occurred_local_at as date) <= run.as_of_date
