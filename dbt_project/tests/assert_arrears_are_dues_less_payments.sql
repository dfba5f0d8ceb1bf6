{{ config(meta={'dagster': {'ref': {'name': 'fct_loan_as_of'}}}) }}
-- For every loan that is still owed: dues so far less money so far are the arrears, past-due days and past-due instalments
-- appear together with them, and principal never falls by more than was paid.
select
    state.as_of_date,
    state.loan_id
from {{ ref('fct_loan_as_of') }} as state
inner join {{ ref('int_loans__lifespans') }} as lifespans on state.loan_id = lifespans.loan_id
where
    state.loan_status_code <> 'closed'
    and (
        state.as_of_date in (select as_of_date from {{ ref('int_changes__as_of_dates') }} where is_new)
        or state.loan_id in (select loan_id from {{ ref('int_changes__loans') }})
    )
    and (
        state.arrears_amount <> case
            when state.scheduled_amount - greatest(state.paid_amount, 0) > {{ tolerance() }}
                then state.scheduled_amount - greatest(state.paid_amount, 0)
            else 0
        end
        or (state.arrears_amount > 0) <> (state.past_due_days > 0)
        or (state.arrears_amount > 0) <> (state.past_due_installment_count > 0)
        or state.arrears_principal_amount > state.arrears_amount
        or state.arrears_principal_amount > state.outstanding_principal_amount
        or lifespans.scheduled_principal_amount - state.outstanding_principal_amount > greatest(state.paid_amount, 0)
    )
