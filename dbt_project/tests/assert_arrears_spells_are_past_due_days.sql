{{ config(meta={'dagster': {'ref': {'name': 'fct_loan_as_of'}}}) }}
-- The spells and the states of the days are two ways to the same thing: a loan that is not written off has past-due days on
-- a date exactly when a spell covers it.
select
    state.as_of_date,
    state.loan_id
from {{ ref('fct_loan_as_of') }} as state
left join {{ ref('int_loans__arrears_spells') }} as spells
    on state.loan_id = spells.loan_id
    and state.as_of_date >= spells.entered_date
    and state.as_of_date < spells.left_date
where
    state.loan_status_code <> 'written_off'
    and (state.past_due_days > 0) <> (spells.loan_id is not null)
