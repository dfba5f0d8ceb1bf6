{{ config(tags=['training']) }}

with marks as (
    select
        arrears.customer_id,
        arrears.as_of_date,
        arrears.loan_id
    from {{ ref('int_loans__arrears') }} as arrears
    cross join {{ source('control', 'run_parameters') }} as run
    where
        {{ is_recovery_training('arrears.is_channel_training', 'arrears.as_of_date', 'run.as_of_date') }}
        and {{ is_near_arrears('arrears') }}
),

members as (
    select distinct
        customer_id,
        as_of_date
    from marks
),

payments as (
    select
        marks.customer_id,
        marks.as_of_date,
        sum(payments.payment_amount) as paid_amount
    from marks
    inner join {{ ref('fct_payments') }} as payments
        on marks.loan_id = payments.loan_id
        and payments.paid_date > marks.as_of_date
        and payments.paid_date <= {{ add_days('marks.as_of_date', var('expected_recovery_horizon_days')) }}
    group by marks.customer_id, marks.as_of_date
)

select
    members.as_of_date,
    members.customer_id,
    -- Money that went back beyond what came in is no recovery.
    {{ money('greatest(coalesce(payments.paid_amount, 0), 0)') }} as recovered_amount
from members
left join payments
    on members.customer_id = payments.customer_id
    and members.as_of_date = payments.as_of_date
