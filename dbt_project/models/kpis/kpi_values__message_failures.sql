-- K67 by the code that the gateway gave, over all messages that were sent in the cell.
with cells as (
    select
        days.period_code,
        days.as_of_date,
        messages.branch_id,
        messages.product_code,
        messages.segment_code,
        messages.channel_code,
        messages.campaign_id,
        branches.province,
        messages.error_code,
        messages.is_failed,
        count(*) as message_count
    from {{ ref('fct_messages') }} as messages
    inner join {{ ref('kpi_period_days') }} as days on messages.sent_date = days.activity_date
    left join {{ ref('dim_branches') }} as branches on messages.branch_id = branches.branch_id
    where messages.is_sent
    group by
        days.period_code,
        days.as_of_date,
        messages.branch_id,
        messages.product_code,
        messages.segment_code,
        messages.channel_code,
        messages.campaign_id,
        branches.province,
        messages.error_code,
        messages.is_failed
),

codes as (
    {{ kpi_grain_rows(
        'cells',
        [['K67_BY_CODE', 'message_count', 'message_count']],
        ['total', 'branch', 'product', 'segment', 'channel', 'campaign', 'branch_product', 'province'],
        detail='error_code',
        detail_columns=['error_code'],
    ) }}
),

shares as (
    {{ kpi_shares('codes') }}
)

select *
from shares
-- Without a code: what did not fail.
where detail_code is not null
