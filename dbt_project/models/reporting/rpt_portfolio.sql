select
    as_of_date,
    branch_id,
    product_code,
    bucket_code,
    cast(count(*) as bigint) as loan_count,
    cast(count(distinct customer_id) as bigint) as customer_count,
    {{ money('sum(outstanding_principal_amount)') }} as outstanding_principal_amount,
    {{ money('sum(arrears_amount)') }} as arrears_amount
from {{ ref('fct_loan_as_of') }}
where
    loan_status_code = 'active'
    and (is_month_end or as_of_date = (select as_of_date from {{ source('control', 'run_parameters') }}))
group by as_of_date, branch_id, product_code, bucket_code
