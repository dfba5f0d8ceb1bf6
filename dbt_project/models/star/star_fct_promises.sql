{{ config(alias='fct_promises') }}
select
    {{ date_key('promises.made_date') }} as date_key,
    {{ date_key('promises.due_date') }} as due_date_key,
    {{ hash_key('loans.loan_id') }} as loan_key,
    {{ hash_key('customers.customer_id') }} as customer_key,
    {{ hash_key('promises.branch_id') }} as branch_key,
    {{ hash_key('promises.product_code') }} as product_key,
    {{ hash_key('promises.segment_code') }} as segment_key,
    {{ hash_key('promises.collector_id') }} as collector_key,
    {{ hash_key('channels.channel_code') }} as channel_key,
    {{ hash_key('promises.campaign_id') }} as campaign_key,
    promises.promise_id,
    promises.interaction_id,
    promises.made_date,
    promises.made_at,
    promises.due_date,
    promises.grace_end_date,
    promises.kept_date,
    promises.loan_id,
    promises.customer_id,
    promises.branch_id,
    promises.product_code,
    promises.segment_code,
    promises.collector_id,
    promises.channel_code,
    promises.campaign_id,
    promises.promised_amount,
    promises.paid_amount,
    promises.promise_status_code
from {{ ref('fct_promises') }} as promises
left join {{ ref('dim_loans') }} as loans on promises.loan_id = loans.loan_id
left join {{ ref('dim_customers') }} as customers on promises.customer_id = customers.customer_id
left join {{ ref('channels') }} as channels on promises.channel_code = channels.channel_code
