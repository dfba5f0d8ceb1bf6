{{ config(materialized='ephemeral', contract={'enforced': false}) }}
-- What a campaign did on a day in a branch: past ones as the institution names them, ours by their day and id. Days that
-- were decided before there were campaigns have one for each channel.
with days_with_campaigns as (
    select distinct as_of_date
    from {{ source('decisions', 'campaign_members') }}
),

of_campaigns as (
    select
        members.as_of_date as activity_date,
        cast(members.as_of_date as text) || '/' || members.campaign_id as campaign_id,
        members.channel_code,
        coalesce(loans.branch_id, customers.branch_id) as branch_id,
        members.is_sent
    from {{ source('decisions', 'campaign_members') }} as members
    left join {{ ref('dim_loans') }} as loans on members.loan_id = loans.loan_id
    left join {{ ref('dim_customers') }} as customers on members.customer_id = customers.customer_id
    where members.campaign_id <> ''
),

ours as (
    select
        details.as_of_date as activity_date,
        cast(details.as_of_date as text) || '/' || details.channel_code as campaign_id,
        details.channel_code,
        coalesce(loans.branch_id, customers.branch_id) as branch_id,
        details.is_chosen,
        details.is_allowed
    from {{ source('decisions', 'details') }} as details
    inner join {{ ref('channels') }} as channels on details.channel_code = channels.channel_code
    left join {{ ref('dim_loans') }} as loans on details.loan_id = loans.loan_id
    left join {{ ref('dim_customers') }} as customers on details.customer_id = customers.customer_id
    left join days_with_campaigns as days on details.as_of_date = days.as_of_date
    where not channels.needs_collector and days.as_of_date is null
)

select
    activity_date,
    campaign_id,
    channel_code,
    branch_id,
    true as is_ours,
    sum(case when is_chosen then 1 else 0 end) as selected_count,
    sum(case when not is_allowed then 1 else 0 end) as suppressed_count,
    0 as sent_count,
    0 as failed_count,
    0 as contact_count,
    0 as right_party_count,
    0 as promise_count,
    0 as opt_out_count,
    0 as cost_amount
from ours
group by activity_date, campaign_id, channel_code, branch_id

union all

select
    activity_date,
    campaign_id,
    channel_code,
    branch_id,
    true as is_ours,
    count(*) as selected_count,
    sum(case when is_sent then 0 else 1 end) as suppressed_count,
    0 as sent_count,
    0 as failed_count,
    0 as contact_count,
    0 as right_party_count,
    0 as promise_count,
    0 as opt_out_count,
    0 as cost_amount
from of_campaigns
group by activity_date, campaign_id, channel_code, branch_id

union all

select
    occurred_date as activity_date,
    campaign_id,
    channel_code,
    branch_id,
    false as is_ours,
    0 as selected_count,
    0 as suppressed_count,
    sum(case when is_attempt then 1 else 0 end) as sent_count,
    sum(case when outcome_code = 'failed' then 1 else 0 end) as failed_count,
    sum(case when is_contact then 1 else 0 end) as contact_count,
    sum(case when is_right_party then 1 else 0 end) as right_party_count,
    sum(case when outcome_code = 'promise' then 1 else 0 end) as promise_count,
    sum(case when outcome_code = 'opt_out' then 1 else 0 end) as opt_out_count,
    sum(cost_amount) as cost_amount
from {{ ref('fct_interactions') }}
where campaign_id is not null
group by occurred_date, campaign_id, channel_code, branch_id
