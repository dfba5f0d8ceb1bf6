{{ config(schema='intermediate', materialized='table') }}

-- The newest day of the core's balances and the newest day of its totals; nothing without either.
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
),

kept as (
    select distinct as_of_date
    from {{ ref('fct_loan_as_of') }}
)

select
    dates.as_of_date,
    kept.as_of_date is not null as is_kept
from dates
left join kept on dates.as_of_date = kept.as_of_date
where dates.as_of_date is not null
