{{ config(
    materialized='incremental',
    incremental_strategy='replace',
    meta={'replaced': "replaced.activity_date in (select activity_date from intermediate.int_changes__activity_dates)"
        ~ " or replaced.activity_date < (select history_start_date from control.run_parameters)"},
) }}

-- A reversal takes away on its own day what its payment had brought, so it belongs to where the payment was counted: the
-- loan that a bounced payment had cured was not past due any more when it bounced.
with payments as (
    select
        payments.*,
        coalesce(undone.past_due_days, payments.past_due_days) > 0 as was_past_due,
        coalesce(undone.segment_code, payments.segment_code) as counted_segment_code,
        coalesce(undone.collector_id, payments.collector_id) as counted_collector_id,
        coalesce(undone.method_code, payments.method_code) as counted_method_code
    from {{ ref('fct_payments') }} as payments
    inner join {{ ref('int_changes__activity_dates') }} as changed on payments.paid_date = changed.activity_date
    cross join {{ source('control', 'run_parameters') }} as run
    left join {{ ref('fct_payments') }} as undone
        on payments.reverses_payment_id = undone.payment_id
        and payments.loan_id = undone.loan_id
        and undone.paid_date <= payments.paid_date
    where payments.paid_date >= run.history_start_date
)

select
    paid_date as activity_date,
    branch_id,
    product_code,
    counted_segment_code as segment_code,
    counted_collector_id as collector_id,
    counted_method_code as method_code,
    {{ money('sum(payment_amount)') }} as paid_amount,
    {{ money('sum(case when was_past_due then payment_amount else 0 end)') }} as delinquent_paid_amount,
    count(case when not is_reversal then 1 end) as payment_count,
    count(case when is_reversal then 1 end) as reversal_count
from payments
group by paid_date, branch_id, product_code, counted_segment_code, counted_collector_id, counted_method_code
