{{ config(materialized='incremental', incremental_strategy='replace', meta={'replaced':
    "replaced.promise_id in (select promise_id from intermediate.int_changes__promises)"
}) }}

-- What had been paid towards each promise, from day to day: net payments on its loan from the day it was made to the last
-- grace day, both inclusive. A new row only on days on which something changed.
with promises as (
    select *
    from {{ ref('int_promises__dated') }}
    {{ changed_rows('promise_id', 'int_changes__promises') }}
),

changes as (
    select promise_id, made_date as changed_date, {{ money('0') }} as net_amount from promises

    union all

    select
        promises.promise_id,
        payments.paid_date,
        payments.net_amount
    from promises
    inner join {{ ref('int_payments__accumulated') }} as payments
        on promises.loan_id = payments.loan_id
        and payments.paid_date >= promises.made_date
        and payments.paid_date <= promises.grace_end_date
),

days as (
    select
        promise_id,
        changed_date,
        sum(net_amount) as net_amount
    from changes
    group by promise_id, changed_date
),

summed as (
    select
        promise_id,
        changed_date as valid_from_date,
        lead(changed_date) over (partition by promise_id order by changed_date) as valid_to_date,
        sum(net_amount) over (
            partition by promise_id
            order by changed_date
            rows between unbounded preceding and current row
        ) as paid_amount
    from days
)

select
    promises.promise_id,
    promises.interaction_id,
    promises.loan_id,
    promises.customer_id,
    promises.made_at,
    promises.made_date,
    promises.due_date,
    promises.grace_end_date,
    promises.promised_amount,
    summed.valid_from_date,
    coalesce(summed.valid_to_date, cast('9999-12-31' as date)) as valid_to_date,
    {{ money('greatest(summed.paid_amount, 0)') }} as paid_amount
from promises
inner join summed on promises.promise_id = summed.promise_id
