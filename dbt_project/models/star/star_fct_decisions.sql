{{ config(alias='fct_decisions') }}
-- The choice of every day that is still stored; today's readers keep the names that the decision itself has.
select
    {{ date_key('decisions.as_of_date') }} as date_key,
    {{ hash_key('loans.loan_id') }} as loan_key,
    {{ hash_key('customers.customer_id') }} as customer_key,
    {{ hash_key('coalesce(loans.branch_id, customers.branch_id)') }} as branch_key,
    {{ hash_key('loans.product_code') }} as product_key,
    {{ hash_key('segments.segment_code') }} as segment_key,
    {{ hash_key('decisions.collector_id') }} as collector_key,
    {{ hash_key("case when decisions.action = 'none' then 'none' else channels.channel_code end") }} as channel_key,
    decisions.as_of_date,
    decisions.customer_id,
    decisions.loan_id,
    coalesce(loans.branch_id, customers.branch_id) as branch_id,
    loans.product_code,
    segments.segment_code,
    decisions.action,
    decisions.eligible,
    decisions.blocked_by,
    decisions.window_start,
    decisions.window_end,
    decisions.collector_id,
    decisions.rank,
    decisions.arrears_amount,
    decisions.past_due_days,
    decisions.default_probability,
    decisions.expected_gain_amount,
    decisions.contact_cost_amount,
    decisions.propensity,
    decisions.is_exploration,
    decisions.reason_codes
from {{ source('decisions', 'decisions') }} as decisions
left join {{ ref('dim_loans') }} as loans on decisions.loan_id = loans.loan_id
left join {{ ref('dim_customers') }} as customers on decisions.customer_id = customers.customer_id
left join {{ ref('channels') }} as channels on decisions.action = channels.channel_code
left join {{ ref('segments') }} as segments
    on decisions.past_due_days >= segments.min_days
    and (segments.max_days is null or decisions.past_due_days <= segments.max_days)
