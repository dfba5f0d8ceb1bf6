{{ config(alias='fct_kpi') }}
-- A key is -1 both where the row is not broken down by that dimension and where its member is unknown: grain_code tells.
with kpis as (
    select
        *,
        case when detail_code like '%>%' then '>' when detail_code like '%|%' then '|' end as separator
    from {{ ref('fct_kpi') }}
)

select
    {{ date_key('as_of_date') }} as date_key,
    {{ hash_key('kpi_code') }} as kpi_key,
    {{ hash_key('branch_id') }} as branch_key,
    {{ hash_key('product_code') }} as product_key,
    {{ hash_key('segment_code') }} as segment_key,
    {{ hash_key('bucket_code') }} as bucket_key,
    {{ hash_key('collector_id') }} as collector_key,
    {{ hash_key('channel_code') }} as channel_key,
    {{ hash_key('campaign_id') }} as campaign_key,
    as_of_date,
    period_code,
    kpi_code,
    grain_code,
    branch_id,
    product_code,
    segment_code,
    bucket_code,
    collector_id,
    agency,
    channel_code,
    campaign_id,
    province,
    detail_code,
    case when separator is null then detail_code else split_part(detail_code, separator, 1) end as detail_from,
    case when separator is not null then split_part(detail_code, separator, 2) end as detail_to,
    numerator,
    denominator,
    value
from kpis
