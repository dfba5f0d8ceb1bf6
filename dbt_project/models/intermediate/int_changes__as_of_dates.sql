with dates as (
    {{ as_of_dates() }}
),

-- A loan has no row before its disbursement, whatever changed about it; a day that was corrected counts before and after.
loans as (
    select
        changes.loan_id,
        greatest(changes.from_date, min(versions.disbursed_on)) as from_date
    from {{ ref('int_changes__loans') }} as changes
    inner join {{ source('raw', 'loans') }} as versions
        on changes.loan_id = versions.loan_id
        and versions.disbursed_on is not null
    group by changes.loan_id, changes.from_date
),

earliest as (
    select min(from_date) as from_date from loans
)

select
    dates.as_of_date,
    dates.is_built = 0 or dates.as_of_date = run.as_of_date as is_new
from dates
cross join {{ source('control', 'run_parameters') }} as run
cross join earliest
where
    dates.is_history = 1
    and (dates.is_built = 0 or dates.as_of_date = run.as_of_date or dates.as_of_date >= earliest.from_date)
