-- What the loans in arrears or near them ask for within the horizon of expected recovery; the schedule tells it beforehand.
with marks as (
    select
        arrears.customer_id,
        arrears.as_of_date,
        arrears.loan_id,
        arrears.is_score,
        arrears.arrears_amount,
        arrears.outstanding_principal_amount,
        greatest(arrears.paid_amount - arrears.scheduled_amount, 0) as paid_ahead_amount
    from {{ ref('int_loans__arrears') }} as arrears
    cross join {{ source('control', 'run_parameters') }} as run
    where
        arrears.loan_status_code = 'active'
        and {{ is_near_arrears('arrears') }}
        and (
            arrears.is_score
            or {{ is_recovery_training('arrears.is_channel_training', 'arrears.as_of_date', 'run.as_of_date') }}
        )
),

-- From the end of the date on: what is due on the day itself is past due there already when the setting says so.
dues as (
    select
        marks.loan_id,
        marks.as_of_date,
        sum(installments.due_amount) as due_amount,
        count(*) as installment_count
    from marks
    inner join {{ ref('int_installments__scheduled') }} as installments
        on marks.loan_id = installments.loan_id
        and installments.due_date >= {{ add_days('marks.as_of_date', past_due_shift()) }}
        and installments.due_date <= {{ add_days('marks.as_of_date', var('expected_recovery_horizon_days')) }}
    group by marks.loan_id, marks.as_of_date
),

loans as (
    select
        marks.*,
        greatest(coalesce(dues.due_amount, 0) - marks.paid_ahead_amount, 0) as due_amount,
        coalesce(dues.installment_count, 0) as installment_count
    from marks
    left join dues
        on marks.loan_id = dues.loan_id
        and marks.as_of_date = dues.as_of_date
)

select
    as_of_date,
    customer_id,
    max(case when is_score then 1 else 0 end) = 1 as is_score,
    count(*) as near_loan_count,
    cast(sum(installment_count) as bigint) as due_within_horizon_count,
    {{ money('sum(due_amount)') }} as due_within_horizon_amount,
    {{ money('sum(arrears_amount + due_amount)') }} as owed_within_horizon_amount,
    {{ money('sum(outstanding_principal_amount)') }} as near_outstanding_principal_amount
from loans
group by as_of_date, customer_id
