{{ config(schema='intermediate', contract={'enforced': false}) }}

with dates as (
    select distinct
        as_of_date,
        {{ add_days('as_of_date', var('response_window_days')) }} as window_end_date
    from {{ source('decisions', 'decisions') }}
)

select dates.as_of_date
from dates
cross join {{ source('control', 'run_parameters') }} as run
where
    run.is_full_build
    or dates.window_end_date >= run.built_as_of_date
    or exists (
        select 1
        from {{ ref('int_changes__activity_dates') }} as changes
        where changes.activity_date >= dates.as_of_date and changes.activity_date <= dates.window_end_date
    )
