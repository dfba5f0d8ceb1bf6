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
        -- A relative who answers is a contact, but nobody has spoken with the member yet.
        interactions.is_contact and coalesce(interactions.outcome_code, '') <> 'third_party' as was_reached,
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

first_contacts as (
    select * from contacts where contact_rank = 1
),

-- The days of the week up to its first contact, as the product decided them. A day without a decision could have none.
decided as (
    select
        marks.customer_id,
        marks.as_of_date,
        sum(
            case
                when not coalesce(summaries.is_ahead, false) or decisions.propensity is null then 1
                when decisions.as_of_date = first_contacts.occurred_date then
                    case when decisions.action = first_contacts.channel_code then 0 else 1 end
                when decisions.action = 'none' then 0
                else 1
            end
        ) as unexplained_count,
        max(case when decisions.as_of_date = first_contacts.occurred_date then 1 else 0 end) as asked_count,
        -- factor by factor in the order of the days: the same bytes on both engines
        {% for day in range(1, window + 1) -%}
        coalesce(max(case when decisions.as_of_date = {{ add_days('marks.as_of_date', day) }} then decisions.propensity end), 1)
        {%- if not loop.last %} * {% endif %}
        {% endfor -%}
        as propensity
    from marks
    cross join {{ source('control', 'run_parameters') }} as run
    left join first_contacts
        on marks.customer_id = first_contacts.customer_id
        and marks.as_of_date = first_contacts.as_of_date
    inner join {{ source('earlier', 'earlier_decisions') }} as decisions
        on marks.customer_id = decisions.customer_id
        and decisions.as_of_date > marks.as_of_date
        and decisions.as_of_date <= {{ add_days('marks.as_of_date', window) }}
        and decisions.as_of_date <= run.as_of_date
        and (first_contacts.occurred_date is null or decisions.as_of_date <= first_contacts.occurred_date)
    left join {{ source('earlier', 'earlier_summaries') }} as summaries on decisions.as_of_date = summaries.as_of_date
    group by marks.customer_id, marks.as_of_date
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
    coalesce(contacts.was_reached, false) as was_reached,
    cast(coalesce(contacts.contact_count, 0) as bigint) as contact_count,
    -- what the institution says of its own draw comes first
    coalesce(
        contacts.propensity,
        case
            when decided.unexplained_count = 0 and (contacts.channel_code is null or decided.asked_count = 1)
                then decided.propensity
        end
    ) as propensity,
    {{ money('coalesce(payments.paid_amount, 0)') }} as paid_7d_amount,
    coalesce(payments.paid_amount, 0) > 0 as has_paid_7d,
    {{ add_days('marks.as_of_date', window) }} <= run.as_of_date as is_matured
from marks
cross join {{ source('control', 'run_parameters') }} as run
left join first_contacts as contacts
    on marks.customer_id = contacts.customer_id
    and marks.as_of_date = contacts.as_of_date
left join decided
    on marks.customer_id = decided.customer_id
    and marks.as_of_date = decided.as_of_date
left join payments
    on marks.customer_id = payments.customer_id
    and marks.as_of_date = payments.as_of_date
