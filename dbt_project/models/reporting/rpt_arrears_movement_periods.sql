-- The same for the days and weeks that the book keeps: from the day before, and from the Sunday before to a Sunday or to
-- the run's date. A period without its opening date is left out.
with dates as (
    select distinct as_of_date
    from {{ ref('fct_loan_as_of') }}
),

sundays as (
    select as_of_date
    from dates
    where extract(isodow from as_of_date) = 7
),

pairs as (
    select
        'day' as period_code,
        opening.as_of_date as from_date,
        closing.as_of_date
    from dates as closing
    inner join dates as opening on opening.as_of_date = {{ add_days('closing.as_of_date', -1) }}

    union all

    select
        'week' as period_code,
        opening.as_of_date as from_date,
        closing.as_of_date
    from dates as closing
    cross join {{ source('control', 'run_parameters') }} as run
    inner join sundays as opening
        on opening.as_of_date < closing.as_of_date
        and opening.as_of_date >= {{ add_days('closing.as_of_date', -7) }}
    where closing.as_of_date = run.as_of_date or extract(isodow from closing.as_of_date) = 7
)

{{ arrears_movement('pairs') }}
