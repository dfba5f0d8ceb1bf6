-- The dates at which a loan enters and leaves the book. Where the source says that it left but not when, the day is the
-- last one known: of the last payment, of the row's own update, of maturity. Payments after the run's date count here:
-- a loan that a later file calls closed was open until then.
with last_payments as (
    select
        loan_id,
        max(paid_date) as last_paid_date
    from {{ ref('int_payments__signed') }}
    group by loan_id
),

schedules as (
    select
        loan_id,
        count(*) as installment_count,
        {{ money('sum(principal_due_amount)') }} as scheduled_principal_amount,
        {{ money('sum(due_amount)') }} as total_due_amount
    from {{ ref('int_installments__scheduled') }}
    group by loan_id
)

select
    loans.loan_id,
    loans.customer_id,
    loans.branch_id,
    loans.product_code,
    loans.currency_code,
    loans.disbursed_date,
    case
        when loans.source_status_code = 'written_off' then coalesce(
            loans.written_off_date,
            loans.closed_date,
            {{ local_date('loans.updated_at') }},
            loans.maturity_date,
            loans.disbursed_date
        )
        else loans.written_off_date
    end as written_off_date,
    case
        when loans.source_status_code = 'closed' then coalesce(
            loans.closed_date,
            last_payments.last_paid_date,
            loans.maturity_date,
            loans.disbursed_date
        )
        else loans.closed_date
    end as closed_date,
    loans.restructured_date,
    {{ money('loans.principal_amount') }} as principal_amount,
    -- A loan without a schedule has nothing that falls due; what is left of it is what was lent.
    coalesce(schedules.scheduled_principal_amount, {{ money('loans.principal_amount') }}) as scheduled_principal_amount,
    coalesce(schedules.total_due_amount, {{ money('loans.principal_amount') }}) as total_due_amount,
    cast(coalesce(schedules.installment_count, 0) as bigint) as installment_count,
    {{ is_sampled('loans.customer_id', 'run.sample_below') }} as is_sampled
from {{ ref('stg_core__loans') }} as loans
cross join {{ source('control', 'run_parameters') }} as run
left join schedules on loans.loan_id = schedules.loan_id
left join last_payments on loans.loan_id = last_payments.loan_id
