{{ config(meta={'dagster': {'ref': {'name': 'rpt_portfolio'}}}) }}
with loans as (
    select
        as_of_date,
        count(*) as loan_count,
        sum(outstanding_principal_amount) as outstanding_principal_amount,
        sum(arrears_amount) as arrears_amount
    from {{ ref('fct_loan_as_of') }}
    where
        loan_status_code = 'active'
        and (is_month_end or as_of_date = (select as_of_date from {{ source('control', 'run_parameters') }}))
    group by as_of_date
),

portfolio as (
    select
        as_of_date,
        sum(loan_count) as loan_count,
        sum(outstanding_principal_amount) as outstanding_principal_amount,
        sum(arrears_amount) as arrears_amount
    from {{ ref('rpt_portfolio') }}
    group by as_of_date
)

select loans.as_of_date
from loans
left join portfolio on loans.as_of_date = portfolio.as_of_date
where
    portfolio.as_of_date is null
    or loans.loan_count <> portfolio.loan_count
    or loans.outstanding_principal_amount <> portfolio.outstanding_principal_amount
    or loans.arrears_amount <> portfolio.arrears_amount
