-- Every loan from its disbursement on for the run's date and the month ends; for the training dates only loans that are
-- active then and belong to a sampled customer.
with dates as (
    {{ as_of_dates() }}
)

select
    dates.as_of_date,
    lifespans.loan_id
from {{ ref('int_loans__lifespans') }} as lifespans
inner join dates on lifespans.disbursed_date <= dates.as_of_date
where
    dates.is_score = 1
    or dates.is_month_end = 1
    or (
        (dates.is_risk_training = 1 or dates.is_channel_training = 1)
        and lifespans.is_sampled
        and {{ loan_status('lifespans', 'dates.as_of_date') }} = 'active'
    )
