with arrears as (
    select *
    from {{ ref('int_loans__arrears') }}
    where is_score or is_month_end
),

-- The ladder is joined once per number of days, not once per row.
rungs as (
    select
        days.past_due_days,
        buckets.bucket_code
    from (select distinct past_due_days from arrears) as days
    inner join {{ ref('dpd_buckets') }} as buckets
        on days.past_due_days >= buckets.min_days
        and (buckets.max_days is null or days.past_due_days <= buckets.max_days)
)

select
    arrears.as_of_date,
    arrears.loan_id,
    arrears.customer_id,
    lifespans.branch_id,
    lifespans.product_code,
    lifespans.currency_code,
    arrears.loan_status_code,
    rungs.bucket_code,
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
    arrears.is_month_end,
    arrears.is_score
from arrears
inner join {{ ref('int_loans__lifespans') }} as lifespans on arrears.loan_id = lifespans.loan_id
left join rungs on arrears.past_due_days = rungs.past_due_days
