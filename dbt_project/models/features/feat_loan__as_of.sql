with marks as (
    select *
    from {{ ref('int_loans__arrears') }}
    where (is_score or is_risk_training or is_channel_training) and loan_status_code = 'active'
),

members as (
    select
        customer_id,
        as_of_date,
        count(*) as active_loan_count,
        max(past_due_days) as max_past_due_days
    from marks
    group by customer_id, as_of_date
)

select
    marks.as_of_date,
    marks.loan_id,
    marks.customer_id,
    marks.is_score,
    marks.is_risk_training,
    loans.product_code,
    loans.branch_id,
    customers.province,
    loans.collateral_code,
    customers.occupation,
    marks.past_due_days,
    marks.past_due_installment_count,
    marks.arrears_amount,
    marks.outstanding_principal_amount,
    {{ money('coalesce(installments.due_amount, 0)') }} as installment_amount,
    {{ ratio('marks.arrears_amount', 'installments.due_amount') }} as arrears_to_installment_rate,
    marks.due_next_window_amount,
    {{ days_between('marks.as_of_date', 'next_due.due_date') }} as next_due_in_days,
    {{ days_between('marks.last_payment_date', 'marks.as_of_date') }} as days_since_last_payment,
    {{ days_between('loans.disbursed_date', 'marks.as_of_date') }} as days_since_disbursement,
    cast(greatest(marks.installment_count - marks.covered_installment_count, 0) as bigint) as remaining_installment_count,
    {{ ratio('lifespans.scheduled_principal_amount - marks.outstanding_principal_amount', 'lifespans.scheduled_principal_amount') }}
        as paid_principal_rate,
    loans.principal_amount,
    loans.annual_rate,
    loans.term_months,
    coalesce(loans.restructured_date <= marks.as_of_date, false) as is_restructured,
    {{ ratio('installments.due_amount', 'customers.monthly_income_amount') }} as burden_rate,
    {% for days in [28, 91, 364] -%}
    {{ ratio('behaviour.paid_' ~ days ~ 'd_amount', 'installments.due_amount') }} as paid_{{ days }}d_rate,
    {% endfor -%}
    {% for days in [28, 91, 364] -%}
    {{ ratio('behaviour.due_' ~ days ~ 'd_amount - behaviour.paid_' ~ days ~ 'd_amount', 'installments.due_amount') }}
        as shortfall_{{ days }}d_rate,
    {% endfor -%}
    behaviour.max_late_days_91d,
    behaviour.max_late_days_182d,
    behaviour.max_late_days_364d,
    {{ ratio('behaviour.late_days_182d', 'behaviour.due_installment_182d_count') }} as mean_late_days_182d,
    behaviour.late_installment_364d_count as late_installment_count_364d,
    behaviour.late_over_30_installment_364d_count as late_over_30_installment_count_364d,
    {{ ratio('behaviour.due_installment_364d_count - behaviour.late_installment_364d_count', 'behaviour.due_installment_364d_count') }}
        as on_time_rate_364d,
    behaviour.payment_91d_count as payment_count_91d,
    coalesce(promises.promise_182d_count, 0) as promise_count_182d,
    {{ ratio('promises.kept_promise_364d_count', 'promises.settled_promise_364d_count') }} as kept_promise_rate_364d,
    coalesce(promises.broken_promise_182d_count, 0) as broken_promise_count_182d,
    members.active_loan_count as member_active_loan_count,
    members.max_past_due_days as member_max_past_due_days,
    case
        when customers.member_since_date is not null
            then greatest({{ days_between('customers.member_since_date', 'marks.as_of_date') }}, 0)
    end as member_tenure_days,
    customers.is_urban,
    customers.monthly_income_amount,
    coalesce(contacts.attempt_28d_count, 0) as attempt_28d_count,
    coalesce(contacts.attempt_91d_count, 0) as attempt_91d_count,
    coalesce(contacts.right_party_91d_count, 0) as right_party_91d_count,
    coalesce(contacts.no_answer_91d_count, 0) as no_answer_91d_count,
    cast(extract(day from marks.as_of_date) as bigint) as day_of_month,
    cast(extract(doy from marks.as_of_date) as bigint) as day_of_year
from marks
inner join {{ ref('int_loans__behaviour') }} as behaviour
    on marks.loan_id = behaviour.loan_id
    and marks.as_of_date = behaviour.as_of_date
inner join {{ ref('dim_loans') }} as loans on marks.loan_id = loans.loan_id
inner join {{ ref('int_loans__lifespans') }} as lifespans on marks.loan_id = lifespans.loan_id
inner join {{ ref('dim_customers') }} as customers on marks.customer_id = customers.customer_id
inner join members
    on marks.customer_id = members.customer_id
    and marks.as_of_date = members.as_of_date
left join {{ ref('int_installments__scheduled') }} as installments
    on behaviour.loan_id = installments.loan_id
    and behaviour.installment_rank = installments.installment_rank
left join {{ ref('int_installments__scheduled') }} as next_due
    on marks.loan_id = next_due.loan_id
    and next_due.installment_rank = greatest(marks.due_installment_count, marks.covered_installment_count) + 1
left join {{ ref('int_loans__promise_history') }} as promises
    on marks.loan_id = promises.loan_id
    and marks.as_of_date = promises.as_of_date
left join {{ ref('int_customers__contact_history') }} as contacts
    on marks.customer_id = contacts.customer_id
    and marks.as_of_date = contacts.as_of_date
where marks.is_score or marks.is_risk_training
