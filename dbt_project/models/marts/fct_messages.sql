{{ config(
    materialized='incremental',
    incremental_strategy='replace',
    meta={'replaced': "replaced.sent_date in (select activity_date from intermediate.int_changes__message_dates)"
        ~ " or replaced.sent_date < (select history_start_date from control.run_parameters)"},
) }}

-- Receipts come late, twice, in any order, and some never. A later state says the earlier ones: who answered has read, what
-- was read was delivered. What was delivered did not fail, whatever the gateway said before or after.
with messages as (
    select interactions.*
    from {{ ref('fct_interactions') }} as interactions
    inner join {{ ref('channels') }} as channels on interactions.channel_code = channels.channel_code
    inner join {{ ref('int_changes__message_dates') }} as changed on interactions.occurred_date = changed.activity_date
    where channels.is_message and interactions.is_attempt
),

receipts as (
    select
        events.interaction_id,
        events.status_code,
        events.occurred_at,
        events.error_code,
        row_number() over (
            partition by events.interaction_id, events.status_code
            order by events.occurred_at nulls last, events.message_event_id
        ) as receipt_no
    from {{ ref('stg_core__message_events') }} as events
    inner join messages on events.interaction_id = messages.interaction_id
    cross join {{ source('control', 'run_parameters') }} as run
    where
        events.status_code is not null
        and coalesce({{ local_date('events.occurred_at') }}, messages.occurred_date) <= run.as_of_date
        and coalesce({{ local_date('events.occurred_at') }}, messages.occurred_date) >= {{ add_days('messages.occurred_date', -1) }}
        -- A gateway gives up in the end; so do we.
        and coalesce({{ local_date('events.occurred_at') }}, messages.occurred_date)
            <= {{ add_days('messages.occurred_date', var('message_receipt_days')) }}
),

reported as (
    select
        interaction_id,
        {% for status in ['queued', 'sent', 'delivered', 'read', 'failed', 'replied', 'opted_out'] -%}
        max(case when status_code = '{{ status }}' then 1 else 0 end) as {{ status }}_count,
        min(case when status_code = '{{ status }}' then occurred_at end) as {{ status }}_at,
        {% endfor -%}
        max(case when status_code = 'failed' and receipt_no = 1 then error_code end) as error_code
    from receipts
    group by interaction_id
),

-- The outcome of the interaction is a receipt too: it is all there is where the gateway's are not delivered.
known as (
    select
        messages.*,
        reported.interaction_id is not null as has_receipts,
        reported.queued_at,
        reported.sent_at,
        reported.failed_at,
        reported.opted_out_at,
        reported.error_code,
        least(reported.replied_at, reported.opted_out_at) as answered_at,
        least(reported.read_at, reported.replied_at, reported.opted_out_at) as read_at,
        least(reported.delivered_at, reported.read_at, reported.replied_at, reported.opted_out_at) as delivered_at,
        reported.replied_at,
        coalesce(reported.opted_out_count, 0) = 1 or messages.outcome_code = 'opt_out' as has_opted_out,
        coalesce(reported.replied_count, 0) = 1 or messages.is_right_party or messages.outcome_code = 'complaint' as has_replied,
        coalesce(reported.read_count, 0) = 1 or messages.is_contact as was_read,
        coalesce(reported.delivered_count, 0) = 1 or messages.outcome_code = 'delivered' as was_delivered,
        coalesce(reported.failed_count, 0) = 1 or messages.outcome_code = 'failed' as was_failed,
        -- 'sent' is what an interaction says of a message before it knows more.
        coalesce(reported.sent_count, 0) = 1 or reported.interaction_id is null or messages.outcome_code <> 'sent' as was_sent
    from messages
    left join reported on messages.interaction_id = reported.interaction_id
),

settled as (
    select
        known.*,
        case
            when has_opted_out then 'opted_out'
            when has_replied then 'replied'
            when was_read then 'read'
            when was_delivered then 'delivered'
            when was_failed then 'failed'
            when was_sent then 'sent'
            else 'queued'
        end as state_code
    from known
),

delivered as (
    select
        settled.*,
        state_code in ('opted_out', 'replied', 'read', 'delivered') as is_delivered
    from settled
),

-- The first thing that the member said, through any channel, within the hours that count as an answer.
answers as (
    select
        delivered.interaction_id,
        min(inbound.occurred_at) as first_inbound_at
    from delivered
    inner join {{ ref('fct_interactions') }} as inbound
        on delivered.customer_id = inbound.customer_id
        and inbound.direction_code = 'inbound'
        and inbound.occurred_at >= delivered.occurred_at
        and inbound.occurred_at
            <= coalesce(delivered.delivered_at, delivered.occurred_at) + interval '{{ var("message_response_hours") }} hours'
    where delivered.is_delivered
    group by delivered.interaction_id
)

select
    delivered.interaction_id,
    delivered.customer_id,
    delivered.loan_id,
    delivered.branch_id,
    delivered.product_code,
    delivered.segment_code,
    delivered.channel_code,
    delivered.campaign_id,
    delivered.collector_id,
    delivered.outcome_code,
    delivered.state_code,
    case when delivered.state_code = 'failed' then coalesce(delivered.error_code, 'unknown') end as error_code,
    delivered.state_code <> 'queued' as is_sent,
    delivered.is_delivered,
    delivered.state_code in ('opted_out', 'replied', 'read') as is_read,
    delivered.state_code = 'failed' as is_failed,
    delivered.has_replied,
    delivered.has_opted_out,
    answers.interaction_id is not null
    or (
        delivered.has_replied
        and coalesce(
            delivered.replied_at
            <= coalesce(delivered.delivered_at, delivered.occurred_at) + interval '{{ var("message_response_hours") }} hours',
            true
        )
    ) as has_responded,
    delivered.has_opted_out
    and coalesce(
        delivered.opted_out_at
        <= coalesce(delivered.delivered_at, delivered.occurred_at) + interval '{{ var("message_opt_out_days") }} days',
        true
    ) as has_opted_out_in_time,
    delivered.occurred_date as sent_date,
    delivered.queued_at,
    case
        when delivered.state_code <> 'queued' then coalesce(delivered.sent_at, delivered.occurred_at)
    end as sent_at,
    delivered.delivered_at,
    delivered.read_at,
    delivered.failed_at,
    delivered.replied_at,
    delivered.opted_out_at,
    least(delivered.answered_at, answers.first_inbound_at) as responded_at
from delivered
left join answers on delivered.interaction_id = answers.interaction_id
