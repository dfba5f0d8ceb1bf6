{{ config(alias='dim_loans') }}
select
    {{ hash_key('loan_id') }} as loan_key,
    loan_id,
    {{ hash_key('customer_id') }} as customer_key,
    customer_id,
    branch_id,
    officer_id,
    guarantor_id,
    product_code,
    currency_code,
    collateral_code,
    loan_status_code,
    principal_amount,
    installment_count,
    annual_rate,
    term_months,
    is_restructured,
    disbursed_date,
    maturity_date,
    closed_date,
    written_off_date,
    restructured_date
from {{ ref('dim_loans') }}
union all
{{ unknown_member(['loan_id']) }}
