-- What moved the arrears of the active loans from one date to the next: month ends, then the run's date.
with dates as (
    select distinct states.as_of_date
    from {{ ref('fct_loan_as_of') }} as states
    cross join {{ source('control', 'run_parameters') }} as run
    where states.is_month_end or states.as_of_date = run.as_of_date
),

steps as (
    select
        'month' as period_code,
        lag(as_of_date) over (order by as_of_date) as from_date,
        as_of_date
    from dates
),

pairs as (
    select * from steps where from_date is not null
),

moved as (
    {{ arrears_movement('pairs') }}
)

select
    from_date,
    as_of_date,
    branch_id,
    product_code,
    opening_amount,
    new_amount,
    increased_amount,
    reduced_amount,
    cured_amount,
    written_off_amount,
    closed_amount,
    closing_amount,
    opening_principal_amount,
    new_principal_amount,
    repaid_principal_amount,
    cured_principal_amount,
    written_off_principal_amount,
    closed_principal_amount,
    closing_principal_amount,
    opening_count,
    new_count,
    increased_count,
    reduced_count,
    cured_count,
    written_off_count,
    closed_count,
    closing_count
from moved
