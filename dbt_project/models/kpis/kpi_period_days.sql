{{ config(materialized='view') }}

select
    periods.period_code,
    periods.as_of_date,
    periods.opening_date,
    {{ add_days('periods.first_date', 'cast(days.day_no as integer)') }} as activity_date
from {{ ref('kpi_periods') }} as periods
cross join generate_series(0, 30) as days (day_no)
where {{ add_days('periods.first_date', 'cast(days.day_no as integer)') }} <= periods.as_of_date
