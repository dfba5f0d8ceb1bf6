{{ config(materialized='view') }}

-- Each day with payments opens a new state of the loan; state 0 is before any payment.
select
    loan_id,
    cast(0 as bigint) as state_no,
    cast('1900-01-01' as date) as valid_from_date,
    {{ money('0') }} as paid_amount,
    cast(null as date) as last_payment_date
from {{ ref('int_loans__lifespans') }}

union all

select
    loan_id,
    state_no,
    paid_date as valid_from_date,
    paid_amount,
    last_payment_date
from {{ ref('int_payments__accumulated') }}
