{{ config(schema='intermediate', materialized='table') }}

-- Our loans on the newest day of the core's balances and on the newest day of its totals; nothing without either.
with dates as (
    select max(balances.as_of_date) as as_of_date
    from {{ ref('stg_core__loan_balances') }} as balances
    cross join {{ source('control', 'run_parameters') }} as run
    where balances.as_of_date <= run.as_of_date

    union

    select max(totals.as_of_date) as as_of_date
    from {{ ref('stg_core__control_totals') }} as totals
    cross join {{ source('control', 'run_parameters') }} as run
    where totals.as_of_date <= run.as_of_date
)

select
    dates.as_of_date,
    lifespans.loan_id
from dates
inner join {{ ref('int_loans__lifespans') }} as lifespans on lifespans.disbursed_date <= dates.as_of_date
