{{ config(alias='fct_campaigns') }}
select
    {{ date_key('activity_date') }} as date_key,
    {{ hash_key('campaign_id') }} as campaign_key,
    {{ hash_key('channel_code') }} as channel_key,
    {{ hash_key('branch_id') }} as branch_key,
    activity_date,
    campaign_id,
    channel_code,
    branch_id,
    cast(sum(selected_count) as bigint) as selected_count,
    cast(sum(suppressed_count) as bigint) as suppressed_count,
    cast(sum(sent_count) as bigint) as sent_count,
    cast(sum(failed_count) as bigint) as failed_count,
    cast(sum(contact_count) as bigint) as contact_count,
    cast(sum(right_party_count) as bigint) as right_party_count,
    cast(sum(promise_count) as bigint) as promise_count,
    cast(sum(opt_out_count) as bigint) as opt_out_count,
    {{ money('sum(cost_amount)') }} as cost_amount
from {{ ref('int_campaigns__activity') }}
group by activity_date, campaign_id, channel_code, branch_id
