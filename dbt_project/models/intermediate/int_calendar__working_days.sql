{{ config(tags=["report"]) }}

-- Working days are Monday to Friday without the holidays of the country: the institution's own and the shipped ones.
with first_days as (
    select coalesce(min(disbursed_date), min(run.as_of_date)) as first_date
    from {{ source('control', 'run_parameters') }} as run
    left join {{ ref('stg_core__loans') }} as loans on loans.disbursed_date <= run.as_of_date
),

days as (
    select {{ add_days('first_days.first_date', 'cast(series.day_no as integer)') }} as calendar_date
    from first_days
    cross join generate_series(0, 36524) as series (day_no)
    cross join {{ source('control', 'run_parameters') }} as run
    -- A month ahead, so that the working day after the last one is there.
    where {{ add_days('first_days.first_date', 'cast(series.day_no as integer)') }} <= {{ add_days('run.as_of_date', 31) }}
),

holidays as (
    {{ country_holidays() }}
),

marked as (
    select
        days.calendar_date,
        extract(isodow from days.calendar_date) < 6 and holidays.holiday_date is null as is_working
    from days
    left join holidays on days.calendar_date = holidays.holiday_date
)

select
    calendar_date,
    is_working,
    count(case when is_working then 1 end) over (
        order by calendar_date
        rows between unbounded preceding and current row
    ) as working_day_no,
    min(case when is_working then calendar_date end) over (
        -- Backwards, because a frame that ends at the current row is computed once.
        order by calendar_date desc nulls last
        rows between unbounded preceding and 1 preceding
    ) as next_working_date
from marked
