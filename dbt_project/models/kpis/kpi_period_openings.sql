{{ config(materialized='view') }}

-- A figure that compares the end of a period with its beginning needs both: the oldest periods begin before the kept history.
select
    periods.period_code,
    periods.as_of_date,
    periods.first_date,
    periods.opening_date
from {{ ref('kpi_periods') }} as periods
inner join ({{ as_of_dates() }}) as dates on periods.opening_date = dates.as_of_date
where dates.is_history = 1
