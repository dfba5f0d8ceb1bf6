-- K17: Kaplan and Meier's estimate over the spells that began in the year up to a date, as they stood on it: a spell that is
-- open then, and one that a write-off or a restructuring ended, is known to have lasted so long and no more is known.
{% set window = 365 %}
{% set longest = 180 %}

with periods as (
    select
        period_code,
        as_of_date
    from {{ ref('kpi_periods') }}
    where period_code = 'month'
),

lasted as (
    select
        periods.period_code,
        periods.as_of_date,
        lifespans.branch_id,
        lifespans.product_code,
        branches.province,
        {{ days_between('spells.entered_date', 'least(spells.observed_to_date, periods.as_of_date)') }} as lasted_days,
        case when spells.is_cure and spells.observed_to_date <= periods.as_of_date then 1 else 0 end as is_cured,
        count(*) as spell_count
    from periods
    inner join {{ ref('int_loans__arrears_spells') }} as spells
        on spells.entered_date > {{ add_days('periods.as_of_date', -window) }}
        and spells.entered_date <= periods.as_of_date
    inner join {{ ref('int_loans__lifespans') }} as lifespans on spells.loan_id = lifespans.loan_id
    left join {{ ref('dim_branches') }} as branches on lifespans.branch_id = branches.branch_id
    group by
        periods.period_code,
        periods.as_of_date,
        lifespans.branch_id,
        lifespans.product_code,
        branches.province,
        {{ days_between('spells.entered_date', 'least(spells.observed_to_date, periods.as_of_date)') }},
        case when spells.is_cure and spells.observed_to_date <= periods.as_of_date then 1 else 0 end
),

-- Sums per day of the curve, in every grain.
graded as (
    {{ kpi_grain_rows(
        'lasted',
        [['K17', 'spell_count * is_cured', 'spell_count']],
        ['total', 'branch', 'product', 'province'],
        detail='lasted_days',
        detail_columns=['lasted_days'],
    ) }}
),

at_risk as (
    select
        graded.*,
        cast(detail_code as bigint) as lasted_days,
        -- Whoever lasted this long or longer was at risk on this day; those censored on a day are still at risk on it.
        sum(denominator) over (
            partition by as_of_date, grain_code, branch_id, product_code, province
            order by cast(detail_code as bigint)
            rows between current row and unbounded following
        ) as at_risk_count
    from graded
),

steps as (
    select
        at_risk.*,
        sum(case when numerator < at_risk_count then ln(1 - numerator / at_risk_count) else 0 end) over so_far as log_share,
        max(case when numerator = at_risk_count then 1 else 0 end) over so_far as is_over
    from at_risk
    window so_far as (
        partition by as_of_date, grain_code, branch_id, product_code, province
        order by lasted_days
        rows between unbounded preceding and current row
    )
),

curve as (
    select
        steps.*,
        case when is_over = 1 then 0 else exp(log_share) end as survival
    from steps
),

medians as (
    select
        as_of_date,
        period_code,
        grain_code,
        branch_id,
        product_code,
        province,
        min(case when survival <= 0.5 + 1e-12 then lasted_days end) as median_days
    from curve
    group by as_of_date, period_code, grain_code, branch_id, product_code, province
)

select
    as_of_date,
    period_code,
    cast('K17' as text) as kpi_code,
    grain_code,
    branch_id,
    product_code,
    cast(null as text) as segment_code,
    cast(null as text) as bucket_code,
    cast(null as text) as collector_id,
    cast(null as text) as agency,
    cast(null as text) as channel_code,
    cast(null as text) as campaign_id,
    province,
    cast(null as text) as detail_code,
    cast(median_days as double precision) as numerator,
    cast(1 as double precision) as denominator
from medians

union all

select
    as_of_date,
    period_code,
    cast('K17_SURVIVAL' as text) as kpi_code,
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
    cast(survival as double precision) as numerator,
    cast(1 as double precision) as denominator
from curve
where lasted_days between 0 and {{ longest }} and numerator > 0
