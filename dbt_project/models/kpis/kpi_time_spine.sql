-- Calendar days for the semantic layer: from a month before the kept history to the end of the year after the run's.
with digits as (
    {% for digit in range(10) %}select {{ digit }} as digit{% if not loop.last %} union all {% endif %}{% endfor %}
),

days as (
    select cast({{ add_days('run.as_of_date', '366 - (ones.digit + 10 * tens.digit + 100 * hundreds.digit + 1000 * thousands.digit)') }} as date) as day_date
    from {{ source('control', 'run_parameters') }} as run
    cross join digits as ones
    cross join digits as tens
    cross join digits as hundreds
    cross join (select digit from digits where digit < 2) as thousands
)

select day_date
from days
