{{ config(alias='fct_interactions') }}
select
    {{ date_key('interactions.occurred_date') }} as date_key,
    {{ hash_key('loans.loan_id') }} as loan_key,
    {{ hash_key('customers.customer_id') }} as customer_key,
    {{ hash_key('interactions.branch_id') }} as branch_key,
    {{ hash_key('interactions.product_code') }} as product_key,
    {{ hash_key('interactions.segment_code') }} as segment_key,
    {{ hash_key('interactions.collector_id') }} as collector_key,
    {{ hash_key('channels.channel_code') }} as channel_key,
    {{ hash_key('interactions.campaign_id') }} as campaign_key,
    interactions.interaction_id,
    interactions.occurred_date,
    interactions.occurred_hour,
    interactions.occurred_at,
    interactions.customer_id,
    interactions.loan_id,
    interactions.branch_id,
    interactions.product_code,
    interactions.segment_code,
    interactions.collector_id,
    interactions.channel_code,
    interactions.campaign_id,
    interactions.direction_code,
    interactions.outcome_code,
    interactions.is_attempt,
    interactions.is_contact,
    interactions.is_right_party,
    interactions.past_due_days,
    interactions.duration_seconds,
    interactions.cost_amount,
    interactions.propensity
from {{ ref('fct_interactions') }} as interactions
left join {{ ref('dim_loans') }} as loans on interactions.loan_id = loans.loan_id
left join {{ ref('dim_customers') }} as customers on interactions.customer_id = customers.customer_id
left join {{ ref('channels') }} as channels on interactions.channel_code = channels.channel_code
