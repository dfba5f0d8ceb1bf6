-- K48: promises that are neither kept nor past their grace at the end of a period, by the days to their due date. The bands
-- are names of facts, not limits that somebody sets: not yet due, due today, in grace.
with open_promises as (
    select
        periods.period_code,
        periods.as_of_date,
        promises.branch_id,
        promises.product_code,
        promises.segment_code,
        promises.collector_id,
        collectors.agency,
        promises.channel_code,
        promises.campaign_id,
        branches.province,
        case
            when promises.due_date > {{ add_days('periods.as_of_date', 7) }} then 'due_in_8_or_more'
            when promises.due_date > {{ add_days('periods.as_of_date', 3) }} then 'due_in_4_to_7'
            when promises.due_date > periods.as_of_date then 'due_in_1_to_3'
            when promises.due_date = periods.as_of_date then 'due_today'
            else 'in_grace'
        end as age_code,
        promises.promised_amount
    from {{ ref('kpi_periods') }} as periods
    -- What was paid up to the period's end, because a reversal may have taken it back since, or have brought a promise back.
    inner join {{ ref('int_promises__progress') }} as progress
        on progress.valid_from_date <= periods.as_of_date
        and progress.valid_to_date > periods.as_of_date
    inner join {{ ref('fct_promises') }} as promises on progress.promise_id = promises.promise_id
    left join {{ ref('dim_branches') }} as branches on promises.branch_id = branches.branch_id
    left join {{ ref('dim_collectors') }} as collectors on promises.collector_id = collectors.collector_id
    where {{ promise_status('progress', 'periods.as_of_date') }} = 'open'
),

cells as (
    select
        period_code,
        as_of_date,
        branch_id,
        product_code,
        segment_code,
        collector_id,
        agency,
        channel_code,
        campaign_id,
        province,
        age_code,
        count(*) as promise_count,
        sum(promised_amount) as promised_amount
    from open_promises
    group by
        period_code,
        as_of_date,
        branch_id,
        product_code,
        segment_code,
        collector_id,
        agency,
        channel_code,
        campaign_id,
        province,
        age_code
),

counted as (
    {{ kpi_grain_rows(
        'cells',
        [['K48_OPEN', 'promise_count', '1'], ['K48_OPEN_AMOUNT', 'promised_amount', '1']],
        ['total', 'branch', 'product', 'segment', 'collector', 'agency', 'channel', 'campaign', 'branch_product', 'province'],
        detail='age_code',
        detail_columns=['age_code'],
    ) }}
)

select
    as_of_date,
    period_code,
    kpi_code,
    grain_code,
    {{ kpi_keys() | join(',\n    ') }},
    detail_code,
    numerator,
    cast(1 as double precision) as denominator
from counted
