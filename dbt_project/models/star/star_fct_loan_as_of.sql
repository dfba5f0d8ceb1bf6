{{ config(alias='fct_loan_as_of') }}
-- Days and weeks of every loan stay in the warehouse; their sums are in the tables of KPIs.
select
    {{ date_key('states.as_of_date') }} as date_key,
    {{ hash_key('states.loan_id') }} as loan_key,
    {{ hash_key('states.customer_id') }} as customer_key,
    {{ hash_key('states.branch_id') }} as branch_key,
    {{ hash_key('states.product_code') }} as product_key,
    {{ hash_key('states.segment_code') }} as segment_key,
    {{ hash_key('states.bucket_code') }} as bucket_key,
    states.as_of_date,
    states.loan_id,
    states.customer_id,
    states.branch_id,
    states.product_code,
    states.segment_code,
    states.bucket_code,
    states.currency_code,
    states.loan_status_code,
    states.past_due_days,
    states.outstanding_principal_amount,
    states.arrears_amount,
    states.arrears_principal_amount,
    states.due_next_window_amount,
    states.collectable_amount,
    states.paid_amount,
    states.scheduled_amount,
    states.overpaid_amount,
    states.past_due_installment_count,
    states.covered_installment_count,
    states.is_restructured,
    states.is_month_end
from {{ ref('fct_loan_as_of') }} as states
cross join {{ source('control', 'run_parameters') }} as run
where states.is_month_end or states.as_of_date = run.as_of_date
