{{ config(alias='dim_campaigns') }}
select
    {{ hash_key('campaign_id') }} as campaign_key,
    campaign_id,
    case when count(distinct channel_code) = 1 then min(channel_code) end as channel_code,
    min(activity_date) as first_date,
    max(activity_date) as last_date,
    max(case when is_ours then 1 else 0 end) = 1 as is_ours
from {{ ref('int_campaigns__activity') }}
where campaign_id is not null
group by campaign_id
union all
{{ unknown_member(['campaign_id']) }}
