{{ config(materialized='incremental', incremental_strategy='replace', meta={'replaced': [
    "replaced.as_of_date not in (
        select as_of_date from control.as_of_dates where is_score or is_month_end or is_week_end or is_day
    )",
    "replaced.as_of_date in (select as_of_date from intermediate.int_changes__as_of_dates where is_new)",
    "exists (
        select 1
        from intermediate.int_changes__loans as changes
        where changes.loan_id = replaced.loan_id and changes.from_date <= replaced.as_of_date
    )",
]}) }}

-- A row that was asked for by a training date alone is not of the history, or stands in it already.
with arrears as (
    select arrears.*
    from {{ ref('int_loans__arrears') }} as arrears
    inner join {{ ref('int_changes__as_of_dates') }} as dates on arrears.as_of_date = dates.as_of_date
    left join {{ ref('int_changes__loans') }} as changes on arrears.loan_id = changes.loan_id
    where dates.is_new or arrears.as_of_date >= changes.from_date
)

select
    arrears.as_of_date,
    arrears.loan_id,
    arrears.customer_id,
    lifespans.branch_id,
    lifespans.product_code,
    lifespans.currency_code,
    arrears.loan_status_code,
    ladders.bucket_code,
    ladders.segment_code,
    arrears.past_due_days,
    arrears.outstanding_principal_amount,
    arrears.arrears_amount,
    arrears.arrears_principal_amount,
    arrears.due_next_window_amount,
    {{ money('arrears.arrears_amount + arrears.due_next_window_amount') }} as collectable_amount,
    arrears.paid_amount,
    arrears.scheduled_amount,
    arrears.overpaid_amount,
    arrears.past_due_installment_count,
    arrears.covered_installment_count,
    coalesce(lifespans.restructured_date <= arrears.as_of_date, false) as is_restructured,
    {{ is_month_end('arrears.as_of_date') }} as is_month_end,
    {{ is_week_end('arrears.as_of_date') }} as is_week_end
from arrears
inner join {{ ref('int_loans__lifespans') }} as lifespans on arrears.loan_id = lifespans.loan_id
left join {{ ref('int_past_due_days__ladders') }} as ladders
    on {{ ladder_day('arrears.past_due_days') }} = ladders.past_due_days
