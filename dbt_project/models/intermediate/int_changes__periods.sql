{{ config(tags=["report"]) }}

-- A period changes with its days and with the states of the loans at its two ends.
select
    periods.period_code,
    periods.as_of_date
from {{ ref('kpi_periods') }} as periods
where
    exists (
        select 1
        from {{ ref('int_changes__activity_dates') }} as changed
        where changed.activity_date between periods.first_date and periods.as_of_date
    )
    or periods.opening_date in (select as_of_date from {{ ref('int_changes__as_of_dates') }})
    or periods.as_of_date in (select as_of_date from {{ ref('int_changes__as_of_dates') }})
