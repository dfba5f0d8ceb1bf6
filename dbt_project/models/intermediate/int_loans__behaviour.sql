{#- An instalment still open at the end of a date is as late as it is past due then. -#}
{% set open_until = add_days('marks.as_of_date', past_due_shift()) %}

-- How each loan was repaid in the year up to a date of the feature spine: sums and counts, so that a customer's rates are
-- made of the parts of all their loans. Only windows of at most a year are joined, so a loan meets a date about thirteen
-- times, not with its whole schedule.
with marks as (
    select
        loan_id,
        as_of_date,
        due_installment_count
    from {{ ref('int_loans__arrears') }}
    where (is_score or is_risk_training or is_channel_training) and loan_status_code = 'active'
),

dues as (
    select
        marks.loan_id,
        marks.as_of_date,
        spans.installment_rank,
        spans.due_amount,
        {{ days_between('spans.due_date', 'marks.as_of_date') }} as age_days,
        greatest({{ days_between('spans.due_date', "least(" ~ open_until ~ ", coalesce(spans.covered_date, " ~ open_until ~ "))") }}, 0)
            as late_days
    from marks
    inner join {{ ref('int_installments__coverage_spans') }} as spans
        on marks.loan_id = spans.loan_id
        and spans.due_date <= marks.as_of_date
        and spans.due_date > {{ add_days('marks.as_of_date', -364) }}
        and spans.valid_from_date <= marks.as_of_date
        and spans.valid_to_date > marks.as_of_date
),

due_parts as (
    select
        loan_id,
        as_of_date,
        max(installment_rank) as last_due_rank,
        sum(case when age_days < 28 then due_amount else 0 end) as due_28d_amount,
        sum(case when age_days < 91 then due_amount else 0 end) as due_91d_amount,
        sum(due_amount) as due_364d_amount,
        max(case when age_days < 91 then late_days end) as max_late_days_91d,
        max(case when age_days < 182 then late_days end) as max_late_days_182d,
        max(late_days) as max_late_days_364d,
        sum(case when age_days < 182 then late_days else 0 end) as late_days_182d,
        count(case when age_days < 182 then 1 end) as due_installment_182d_count,
        count(case when late_days > 0 then 1 end) as late_installment_364d_count,
        count(case when late_days > 30 then 1 end) as late_over_30_installment_364d_count,
        count(*) as due_installment_364d_count
    from dues
    group by loan_id, as_of_date
),

payment_parts as (
    select
        marks.loan_id,
        marks.as_of_date,
        sum(case when payments.paid_date > {{ add_days('marks.as_of_date', -28) }} then payments.net_amount else 0 end)
            as paid_28d_amount,
        sum(case when payments.paid_date > {{ add_days('marks.as_of_date', -91) }} then payments.net_amount else 0 end)
            as paid_91d_amount,
        sum(payments.net_amount) as paid_364d_amount,
        sum(case when payments.paid_date > {{ add_days('marks.as_of_date', -91) }} then payments.payment_count else 0 end)
            as payment_91d_count
    from marks
    inner join {{ ref('int_payments__accumulated') }} as payments
        on marks.loan_id = payments.loan_id
        and payments.paid_date <= marks.as_of_date
        and payments.paid_date > {{ add_days('marks.as_of_date', -364) }}
    group by marks.loan_id, marks.as_of_date
)

select
    marks.loan_id,
    marks.as_of_date,
    -- The last instalment that fell due, the first one before that.
    cast(greatest(coalesce(due_parts.last_due_rank, marks.due_installment_count), 1) as bigint) as installment_rank,
    {{ money('coalesce(due_parts.due_28d_amount, 0)') }} as due_28d_amount,
    {{ money('coalesce(due_parts.due_91d_amount, 0)') }} as due_91d_amount,
    {{ money('coalesce(due_parts.due_364d_amount, 0)') }} as due_364d_amount,
    {{ money('coalesce(payment_parts.paid_28d_amount, 0)') }} as paid_28d_amount,
    {{ money('coalesce(payment_parts.paid_91d_amount, 0)') }} as paid_91d_amount,
    {{ money('coalesce(payment_parts.paid_364d_amount, 0)') }} as paid_364d_amount,
    cast(coalesce(payment_parts.payment_91d_count, 0) as bigint) as payment_91d_count,
    cast(due_parts.max_late_days_91d as bigint) as max_late_days_91d,
    cast(due_parts.max_late_days_182d as bigint) as max_late_days_182d,
    cast(due_parts.max_late_days_364d as bigint) as max_late_days_364d,
    cast(coalesce(due_parts.late_days_182d, 0) as bigint) as late_days_182d,
    cast(coalesce(due_parts.due_installment_182d_count, 0) as bigint) as due_installment_182d_count,
    cast(coalesce(due_parts.late_installment_364d_count, 0) as bigint) as late_installment_364d_count,
    cast(coalesce(due_parts.late_over_30_installment_364d_count, 0) as bigint) as late_over_30_installment_364d_count,
    cast(coalesce(due_parts.due_installment_364d_count, 0) as bigint) as due_installment_364d_count
from marks
left join due_parts
    on marks.loan_id = due_parts.loan_id
    and marks.as_of_date = due_parts.as_of_date
left join payment_parts
    on marks.loan_id = payment_parts.loan_id
    and marks.as_of_date = payment_parts.as_of_date
