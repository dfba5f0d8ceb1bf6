-- What must be computed today: every loan on the dates that the history has not yet and on the run's own, changed loans on
-- the dates from which on they may differ; for the training dates only loans that are active then and belong to a sampled
-- customer. A loan has no row before its disbursement.
with dates as (
    {{ as_of_dates() }}
)

select
    dates.as_of_date,
    lifespans.loan_id
from {{ ref('int_loans__lifespans') }} as lifespans
cross join {{ source('control', 'run_parameters') }} as run
inner join dates on lifespans.disbursed_date <= dates.as_of_date
left join {{ ref('int_changes__loans') }} as changes on lifespans.loan_id = changes.loan_id
where
    (
        dates.is_history = 1
        and (dates.is_built = 0 or dates.as_of_date = run.as_of_date or dates.as_of_date >= changes.from_date)
    )
    or (
        (dates.is_risk_training = 1 or dates.is_channel_training = 1)
        and {{ is_sampled('lifespans.customer_id', 'run.sample_below') }}
        and {{ loan_status('lifespans', 'dates.as_of_date') }} = 'active'
    )
