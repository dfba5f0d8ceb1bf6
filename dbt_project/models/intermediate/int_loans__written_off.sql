-- Principal that each written-off loan still owed at the end of the day on which it was written off.
with positions as (
    select
        lifespans.loan_id,
        max(states.state_no) as state_no
    from {{ ref('int_loans__lifespans') }} as lifespans
    inner join {{ ref('int_payments__allocated') }} as states
        on lifespans.loan_id = states.loan_id
        and states.valid_from_date <= lifespans.written_off_date
    cross join {{ source('control', 'run_parameters') }} as run
    where lifespans.written_off_date <= run.as_of_date and lifespans.disbursed_date <= run.as_of_date
    group by lifespans.loan_id
)

select
    lifespans.loan_id,
    lifespans.customer_id,
    lifespans.branch_id,
    lifespans.product_code,
    lifespans.written_off_date,
    {{ money('lifespans.scheduled_principal_amount - states.covered_principal_amount') }} as written_off_amount
from positions
inner join {{ ref('int_payments__allocated') }} as states
    on positions.loan_id = states.loan_id
    and positions.state_no = states.state_no
inner join {{ ref('int_loans__lifespans') }} as lifespans on positions.loan_id = lifespans.loan_id
