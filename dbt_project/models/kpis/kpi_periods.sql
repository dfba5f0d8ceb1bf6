-- The periods of every KPI: the last days, the weeks (Monday to Sunday) and the months that are kept, and the running one
-- of each, which ends at the run's date. control.as_of_dates says which days close a kept period.
with dates as (
    select
        cast(spine.as_of_date as date) as as_of_date,
        spine.is_day or spine.is_score as closes_day,
        spine.is_week_end or spine.is_score as closes_week,
        spine.is_month_end or spine.is_score as closes_month
    from {{ source('control', 'as_of_dates') }} as spine
    cross join {{ source('control', 'run_parameters') }} as run
    where spine.as_of_date <= run.as_of_date
),

closings as (
    select 'day' as period_code, as_of_date, as_of_date as first_date
    from dates
    where closes_day

    union all

    select 'week' as period_code, as_of_date, cast(date_trunc('week', as_of_date) as date) as first_date
    from dates
    where closes_week

    union all

    select 'month' as period_code, as_of_date, cast(date_trunc('month', as_of_date) as date) as first_date
    from dates
    where closes_month
)

select
    closings.period_code,
    closings.as_of_date,
    closings.first_date,
    cast({{ add_days('closings.first_date', -1) }} as date) as opening_date,
    case
        when closings.period_code = 'day' then true
        when closings.period_code = 'week' then {{ days_between('closings.first_date', 'closings.as_of_date') }} = 6
        else cast(date_trunc('month', {{ add_days('closings.as_of_date', 1) }}) as date) > closings.as_of_date
    end as is_complete
from closings
