{{ config(meta={'dagster': {'ref': {'name': 'rpt_roll_rates'}}}) }}
-- What opens a matrix is what the portfolio shows on that date, where it shows it.
with portfolio as (
    select
        as_of_date,
        bucket_code,
        count(*) as loan_count,
        sum(outstanding_principal_amount) as outstanding_principal_amount
    from {{ ref('fct_loan_as_of') }}
    where loan_status_code = 'active'
    group by as_of_date, bucket_code
),

openings as (
    select
        period_code,
        as_of_date,
        from_date,
        from_bucket_code,
        sum(loan_count) as loan_count,
        sum(opening_balance_amount) as opening_balance_amount
    from {{ ref('rpt_roll_rates') }}
    group by period_code, as_of_date, from_date, from_bucket_code
)

select openings.*
from openings
left join portfolio
    on openings.from_date = portfolio.as_of_date
    and openings.from_bucket_code = portfolio.bucket_code
where
    openings.from_date in (select as_of_date from {{ ref('rpt_portfolio') }})
    and (
        portfolio.as_of_date is null
        or openings.loan_count <> portfolio.loan_count
        or openings.opening_balance_amount <> portfolio.outstanding_principal_amount
    )
