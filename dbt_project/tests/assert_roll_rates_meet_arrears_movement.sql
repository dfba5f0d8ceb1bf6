{{ config(meta={'dagster': {'ref': {'name': 'rpt_roll_rates'}}}) }}
-- Where the arrears movement compares the same two dates: loans that were past due and are cured, written off or closed are
-- as many there. Holds where the first bucket is day 0 alone.
with rolled as (
    select
        from_date,
        as_of_date,
        sum(case when to_state_code = first_buckets.bucket_code then loan_count else 0 end) as cured_count,
        sum(case when to_state_code = 'written_off' then loan_count else 0 end) as written_off_count,
        sum(case when to_state_code = 'paid_off' then loan_count else 0 end) as closed_count
    from {{ ref('rpt_roll_rates') }} as roll_rates
    inner join {{ ref('dpd_buckets') }} as first_buckets
        on first_buckets.max_days = 0
        and roll_rates.from_bucket_code <> first_buckets.bucket_code
    where roll_rates.period_code = 'month'
    group by from_date, as_of_date
),

moved as (
    select
        from_date,
        as_of_date,
        sum(cured_count) as cured_count,
        sum(written_off_count) as written_off_count,
        sum(closed_count) as closed_count
    from {{ ref('rpt_arrears_movement') }}
    group by from_date, as_of_date
)

select rolled.*
from rolled
inner join moved
    on rolled.from_date = moved.from_date
    and rolled.as_of_date = moved.as_of_date
where
    rolled.cured_count <> moved.cured_count
    or rolled.written_off_count <> moved.written_off_count
    or rolled.closed_count <> moved.closed_count
