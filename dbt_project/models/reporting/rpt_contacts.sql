{{ config(materialized='incremental', incremental_strategy='replace', meta={'replaced':
    "replaced.interaction_id in (select interaction_id from intermediate.int_changes__contacts)"
}) }}

with receipts as (
    select
        events.interaction_id,
        count(*) as receipt_count,
        {% for status in ['sent', 'delivered', 'read', 'replied', 'failed', 'opted_out'] -%}
        min(case when events.status_code = '{{ status }}' then events.occurred_at end) as {{ status }}_at,
        {% endfor -%}
        max(events.error_code) as error_code
    from {{ ref('stg_core__message_events') }} as events
    cross join {{ source('control', 'run_parameters') }} as run
    where {{ local_date('events.occurred_at') }} <= run.as_of_date
    {{ changed_rows('events.interaction_id', 'int_changes__contacts', clause='and') }}
    group by events.interaction_id
),

-- One contact may bring promises on several loans.
promises as (
    select
        interaction_id,
        count(*) as promise_count,
        sum(promised_amount) as promised_amount,
        min(due_date) as promise_due_date
    from {{ ref('fct_promises') }}
    where interaction_id is not null
    group by interaction_id
)

select
    interactions.interaction_id,
    interactions.customer_id,
    interactions.loan_id,
    interactions.occurred_at,
    interactions.occurred_date,
    interactions.occurred_hour,
    interactions.channel_code,
    interactions.direction_code,
    interactions.outcome_code,
    interactions.is_contact,
    interactions.is_right_party,
    interactions.collector_id,
    interactions.campaign_id,
    interactions.cost_amount,
    cast(coalesce(promises.promise_count, 0) as bigint) as promise_count,
    {{ money('promises.promised_amount') }} as promised_amount,
    promises.promise_due_date,
    cast(coalesce(receipts.receipt_count, 0) as bigint) as receipt_count,
    receipts.sent_at,
    receipts.delivered_at,
    receipts.read_at,
    receipts.replied_at,
    receipts.failed_at,
    receipts.opted_out_at,
    receipts.error_code
from {{ ref('fct_interactions') }} as interactions
left join promises on interactions.interaction_id = promises.interaction_id
left join receipts on interactions.interaction_id = receipts.interaction_id
{{ changed_rows('interactions.interaction_id', 'int_changes__contacts') }}
