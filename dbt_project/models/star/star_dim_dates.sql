{{ config(alias='dim_dates') }}
-- Whole years, because the time functions of Power BI want a calendar without a gap.
with needed as (
    select as_of_date as needed_date from {{ source('control', 'as_of_dates') }}
    union all
    select as_of_date from {{ source('control', 'run_parameters') }}
    union all
    select min(paid_date) from {{ ref('fct_payments') }}
    union all
    select min(occurred_date) from {{ ref('fct_interactions') }}
    union all
    select min(made_date) from {{ ref('fct_promises') }}
    union all
    select max(due_date) from {{ ref('fct_promises') }}
    union all
    select min(as_of_date) from {{ source('decisions', 'decisions') }}
),

years as (
    select
        cast(cast(extract(year from min(needed_date)) as bigint) || '-01-01' as date) as first_date,
        cast(cast(extract(year from max(needed_date)) as bigint) || '-12-31' as date) as last_date
    from needed
),

digits as (
    select digit
    from (values (0), (1), (2), (3), (4), (5), (6), (7), (8), (9)) as ten (digit)
),

days as (
    select {{ add_days('years.first_date', 'ones.digit + 10 * tens.digit + 100 * hundreds.digit + 1000 * thousands.digit + 10000 * more.digit') }} as date
    from years
    cross join digits as ones
    cross join digits as tens
    cross join digits as hundreds
    cross join digits as thousands
    cross join digits as more
    where ones.digit + 10 * tens.digit + 100 * hundreds.digit + 1000 * thousands.digit + 10000 * more.digit
        <= {{ days_between('years.first_date', 'years.last_date') }}
),

-- Dates of which a state of the portfolio is kept; the run's own closes its running week and month.
history as (
    select
        as_of_date,
        max(case when is_score or is_month_end or is_week_end or is_day then 1 else 0 end) = 1 as is_stock_date,
        max(case when is_score or is_week_end then 1 else 0 end) = 1 as is_week_close,
        max(case when is_score or is_month_end then 1 else 0 end) = 1 as is_month_close
    from {{ source('control', 'as_of_dates') }}
    group by as_of_date
),

holidays as (
    {{ country_holidays() }}
)

select
    {{ date_key('days.date') }} as date_key,
    days.date,
    cast(extract(year from days.date) as bigint) as year,
    cast(extract(quarter from days.date) as bigint) as quarter,
    cast(extract(month from days.date) as bigint) as month,
    cast(extract(year from days.date) * 100 + extract(month from days.date) as bigint) as year_month,
    {{ month_name('days.date', 'es') }} as month_name_es,
    {{ month_name('days.date', 'en') }} as month_name_en,
    cast(extract(isoyear from days.date) as bigint) as iso_year,
    cast(extract(week from days.date) as bigint) as iso_week,
    cast(extract(isodow from days.date) as bigint) as weekday,
    {{ weekday_name('days.date', 'es') }} as weekday_name_es,
    {{ weekday_name('days.date', 'en') }} as weekday_name_en,
    extract(day from {{ add_days('days.date', 1) }}) = 1 as is_month_end,
    holidays.holiday_date is not null as is_holiday,
    extract(isodow from days.date) <= 5 and holidays.holiday_date is null as is_business_day,
    coalesce(history.is_stock_date, false) as is_stock_date,
    coalesce(history.is_week_close, false) as is_week_close,
    coalesce(history.is_month_close, false) as is_month_close,
    days.date = run.as_of_date as is_as_of_date,
    cast(
        (extract(year from run.as_of_date) - extract(year from days.date)) * 12
        + extract(month from run.as_of_date) - extract(month from days.date)
        as bigint
    ) as months_ago
from days
cross join {{ source('control', 'run_parameters') }} as run
left join history on days.date = history.as_of_date
left join holidays on days.date = holidays.holiday_date
