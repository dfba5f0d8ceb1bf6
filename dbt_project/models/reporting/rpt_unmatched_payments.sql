-- Money that no instalment took, as long as the loan still has some, and payments that the door turned away.
with unmatched as (
    select
        parts.*,
        sum(unmatched_amount) over (partition by loan_id) as loan_unmatched_amount
    from {{ ref('int_payments__unmatched') }} as parts
)

select
    run.as_of_date,
    unmatched.payment_id,
    unmatched.loan_id,
    unmatched.customer_id,
    lifespans.branch_id,
    lifespans.product_code,
    unmatched.paid_date,
    unmatched.payment_amount,
    unmatched.unmatched_amount,
    {{ days_between('unmatched.paid_date', 'run.as_of_date') }} as age_days,
    unmatched.reason_code,
    cast(null as text) as rejection_reasons
from unmatched
inner join {{ ref('int_loans__lifespans') }} as lifespans on unmatched.loan_id = lifespans.loan_id
cross join {{ source('control', 'run_parameters') }} as run
where unmatched.loan_unmatched_amount <> 0

union all

select
    run.as_of_date,
    rejected.payment_id,
    rejected.loan_id,
    lifespans.customer_id,
    lifespans.branch_id,
    lifespans.product_code,
    rejected.paid_date,
    rejected.payment_amount,
    rejected.payment_amount as unmatched_amount,
    case
        when rejected.paid_date <= run.as_of_date then {{ days_between('rejected.paid_date', 'run.as_of_date') }}
    end as age_days,
    case when lifespans.loan_id is null then 'loan_unknown' else 'rejected' end as reason_code,
    rejected.reasons as rejection_reasons
from {{ ref('int_payments__rejected') }} as rejected
cross join {{ source('control', 'run_parameters') }} as run
left join {{ ref('int_loans__lifespans') }} as lifespans on rejected.loan_id = lifespans.loan_id
where
    rejected.paid_date is null
    or rejected.paid_date <= run.as_of_date
    -- Refused for its day: which day it was nobody knows, and waiting for that day would hide the money.
    or rejected.reasons like '%in_the_future:paid_at%'
