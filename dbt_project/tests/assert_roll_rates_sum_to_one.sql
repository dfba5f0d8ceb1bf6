{{ config(meta={'dagster': {'ref': {'name': 'rpt_roll_rates'}}}) }}
-- Nothing that was in a bucket is lost or counted twice, in the report and in every grain of the KPI.
with matrices as (
    select
        'report' as place,
        as_of_date,
        sum(count_rate) as count_rate,
        sum(balance_rate) as balance_rate,
        sum(opening_balance_amount) as opening_balance_amount
    from {{ ref('rpt_roll_rates') }}
    group by period_code, as_of_date, branch_id, product_code, segment_code, from_bucket_code

    union all

    select
        grain_code as place,
        as_of_date,
        sum(case when kpi_code = 'K12_COUNT' then {{ ratio('numerator', 'denominator') }} else 0 end) as count_rate,
        sum(case when kpi_code = 'K12' then {{ ratio('numerator', 'denominator') }} else 0 end) as balance_rate,
        sum(case when kpi_code = 'K12' then numerator else 0 end) as opening_balance_amount
    from {{ ref('kpi_values__roll_rates') }}
    where kpi_code in ('K12', 'K12_COUNT')
    group by period_code, as_of_date, grain_code, branch_id, product_code, segment_code, province, split_part(detail_code, '>', 1)
)

select *
from matrices
where
    abs(count_rate - 1) > 1e-9
    or (opening_balance_amount > 0 and abs(balance_rate - 1) > 1e-9)
