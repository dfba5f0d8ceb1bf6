with marks as (
    {{ arrears_at(ref('int_loans__as_of_spine'), var('response_window_days')) }}
),

dates as (
    {{ as_of_dates() }}
),

measured as (
    select
        marks.as_of_date,
        marks.loan_id,
        lifespans.customer_id,
        {{ loan_status('lifespans', 'marks.as_of_date') }} as loan_status_code,
        dates.is_score = 1 as is_score,
        dates.is_history = 1 as is_history,
        dates.is_risk_training = 1 and {{ is_sampled('lifespans.customer_id', 'run.sample_below') }} as is_risk_training,
        dates.is_channel_training = 1 and {{ is_sampled('lifespans.customer_id', 'run.sample_below') }} as is_channel_training,
        states.paid_amount,
        states.last_payment_date,
        states.covered_installment_count,
        states.covered_principal_amount,
        states.oldest_uncovered_due_date,
        lifespans.installment_count,
        lifespans.scheduled_principal_amount,
        lifespans.total_due_amount,
        marks.due_installment_count,
        marks.scheduled_amount,
        marks.scheduled_principal_amount as due_principal_amount,
        marks.due_through_window_amount,
        marks.scheduled_amount - greatest(states.paid_amount, 0) > {{ tolerance() }} as is_short
    from marks
    inner join dates on marks.as_of_date = dates.as_of_date
    cross join {{ source('control', 'run_parameters') }} as run
    inner join {{ ref('int_payments__allocated') }} as states
        on marks.loan_id = states.loan_id
        and marks.state_no = states.state_no
    inner join {{ ref('int_loans__lifespans') }} as lifespans on marks.loan_id = lifespans.loan_id
),

-- What is closed owes nothing, whatever its schedule says.
owed as (
    select
        measured.*,
        loan_status_code <> 'closed' as is_owed
    from measured
)

select
    as_of_date,
    loan_id,
    customer_id,
    loan_status_code,
    is_score,
    is_history,
    is_risk_training and loan_status_code = 'active' as is_risk_training,
    is_channel_training and loan_status_code = 'active' as is_channel_training,
    case when is_owed then {{ past_due_days('oldest_uncovered_due_date', 'as_of_date') }} else cast(0 as bigint) end
        as past_due_days,
    {{ money('case when is_owed then scheduled_principal_amount - covered_principal_amount else 0 end') }}
        as outstanding_principal_amount,
    {{ money('case when is_owed and is_short then scheduled_amount - greatest(paid_amount, 0) else 0 end') }}
        as arrears_amount,
    {{ money('case when is_owed and is_short then greatest(due_principal_amount - covered_principal_amount, 0) else 0 end') }}
        as arrears_principal_amount,
    {{ money('case
        when is_owed then greatest(due_through_window_amount - greatest(scheduled_amount, paid_amount), 0)
        else 0
    end') }} as due_next_window_amount,
    paid_amount,
    {{ money('scheduled_amount') }} as scheduled_amount,
    {{ money('greatest(paid_amount - total_due_amount, 0)') }} as overpaid_amount,
    cast(
        case when is_owed then greatest(due_installment_count - covered_installment_count, 0) else 0 end as bigint
    ) as past_due_installment_count,
    covered_installment_count,
    due_installment_count,
    installment_count,
    last_payment_date
from owed
