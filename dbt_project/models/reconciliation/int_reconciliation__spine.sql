{{ config(schema='intermediate', materialized='table') }}

select
    dates.as_of_date,
    lifespans.loan_id
from {{ ref('int_reconciliation__dates') }} as dates
inner join {{ ref('int_loans__lifespans') }} as lifespans on lifespans.disbursed_date <= dates.as_of_date
where not dates.is_kept
