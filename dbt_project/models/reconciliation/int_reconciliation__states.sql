{{ config(schema='intermediate', materialized='table') }}

-- Our figures on the days that the core speaks of: the book's own where it keeps the day, as it does month ends, and the
-- engine asked again for any other.
with marks as (
    {{ arrears_at(ref('int_reconciliation__spine'), var('response_window_days')) }}
),

measured as (
    select
        marks.as_of_date,
        marks.loan_id,
        lifespans.customer_id,
        lifespans.branch_id,
        lifespans.product_code,
        lifespans.installment_count,
        {{ loan_status('lifespans', 'marks.as_of_date') }} as loan_status_code,
        states.paid_amount,
        states.oldest_uncovered_due_date,
        marks.scheduled_amount,
        lifespans.scheduled_principal_amount - states.covered_principal_amount as open_principal_amount,
        marks.scheduled_amount - greatest(states.paid_amount, 0) as short_amount
    from marks
    inner join {{ ref('int_payments__allocated') }} as states
        on marks.loan_id = states.loan_id
        and marks.state_no = states.state_no
    inner join {{ ref('int_loans__lifespans') }} as lifespans on marks.loan_id = lifespans.loan_id
)

select
    as_of_date,
    loan_id,
    customer_id,
    branch_id,
    product_code,
    installment_count,
    loan_status_code,
    paid_amount,
    case
        when loan_status_code <> 'closed' then {{ past_due_days('oldest_uncovered_due_date', 'as_of_date') }}
        else cast(0 as bigint)
    end as past_due_days,
    {{ money("case when loan_status_code <> 'closed' then open_principal_amount else 0 end") }}
        as outstanding_principal_amount,
    {{ money("case when loan_status_code <> 'closed' and short_amount > " ~ tolerance() ~ " then short_amount else 0 end") }}
        as arrears_amount
from measured

union all

select
    book.as_of_date,
    book.loan_id,
    book.customer_id,
    book.branch_id,
    book.product_code,
    lifespans.installment_count,
    book.loan_status_code,
    book.paid_amount,
    book.past_due_days,
    book.outstanding_principal_amount,
    book.arrears_amount
from {{ ref('fct_loan_as_of') }} as book
inner join {{ ref('int_reconciliation__dates') }} as dates
    on book.as_of_date = dates.as_of_date
    and dates.is_kept
inner join {{ ref('int_loans__lifespans') }} as lifespans on book.loan_id = lifespans.loan_id
