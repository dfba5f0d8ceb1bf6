{{ config(tags=['training']) }}

{% set window = var('response_window_days') %}

with marks as (
    select distinct
        arrears.customer_id,
        arrears.as_of_date
    from {{ ref('int_loans__arrears') }} as arrears
    where arrears.is_channel_training
),

contacts as (
    select
        marks.customer_id,
        marks.as_of_date,
        interactions.channel_code,
        interactions.occurred_date,
        interactions.is_contact,
        interactions.propensity,
        row_number() over (
            partition by marks.customer_id, marks.as_of_date
            order by interactions.occurred_at, {{ bytewise('interactions.interaction_id') }}
        ) as contact_rank,
        count(*) over (partition by marks.customer_id, marks.as_of_date) as contact_count
    from marks
    inner join {{ ref('fct_interactions') }} as interactions
        on marks.customer_id = interactions.customer_id
        and interactions.occurred_date > marks.as_of_date
        and interactions.occurred_date <= {{ add_days('marks.as_of_date', window) }}
    where interactions.is_attempt
),

payments as (
    select
        marks.customer_id,
        marks.as_of_date,
        sum(payments.payment_amount) as paid_amount
    from marks
    inner join {{ ref('fct_payments') }} as payments
        on marks.customer_id = payments.customer_id
        and payments.paid_date > marks.as_of_date
        and payments.paid_date <= {{ add_days('marks.as_of_date', window) }}
    group by marks.customer_id, marks.as_of_date
)

select
    marks.as_of_date,
    marks.customer_id,
    coalesce(contacts.channel_code, 'none') as channel_code,
    contacts.occurred_date as contacted_date,
    coalesce(contacts.is_contact, false) as was_reached,
    cast(coalesce(contacts.contact_count, 0) as bigint) as contact_count,
    contacts.propensity,
    {{ money('coalesce(payments.paid_amount, 0)') }} as paid_7d_amount,
    coalesce(payments.paid_amount, 0) > 0 as has_paid_7d,
    {{ add_days('marks.as_of_date', window) }} <= run.as_of_date as is_matured
from marks
cross join {{ source('control', 'run_parameters') }} as run
left join contacts
    on marks.customer_id = contacts.customer_id
    and marks.as_of_date = contacts.as_of_date
    and contacts.contact_rank = 1
left join payments
    on marks.customer_id = payments.customer_id
    and marks.as_of_date = payments.as_of_date
