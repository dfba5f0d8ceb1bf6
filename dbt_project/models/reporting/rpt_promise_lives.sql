with changes as (
    select
        promise_id,
        max(change_no) as change_count,
        max(changed_date) as last_changed_date,
        min(case when promise_status_code = 'partly_kept' then changed_date end) as partly_kept_date,
        min(case when promise_status_code = 'broken' then changed_date end) as broken_date
    from {{ ref('rpt_promise_changes') }}
    group by promise_id
),

-- A promise that was not kept in full lapses on the day after its grace, whether something was paid or not.
lapsed as (
    select
        promises.promise_id,
        promises.customer_id,
        least(changes.partly_kept_date, changes.broken_date) as lapsed_date
    from {{ ref('fct_promises') }} as promises
    inner join changes on promises.promise_id = changes.promise_id
    where promises.promise_status_code in ('partly_kept', 'broken')
),

attempts as (
    select
        lapsed.promise_id,
        interactions.interaction_id,
        interactions.occurred_date,
        interactions.channel_code,
        row_number() over (
            partition by lapsed.promise_id
            order by interactions.occurred_at, {{ bytewise('interactions.interaction_id') }}
        ) as place
    from lapsed
    inner join {{ ref('fct_interactions') }} as interactions
        on lapsed.customer_id = interactions.customer_id
        and interactions.occurred_date >= lapsed.lapsed_date
        and interactions.is_attempt
)

select
    promises.promise_id,
    promises.customer_id,
    promises.loan_id,
    promises.branch_id,
    promises.product_code,
    promises.segment_code,
    promises.interaction_id,
    promises.channel_code,
    promises.collector_id,
    interactions.campaign_id,
    promises.made_at,
    promises.made_date,
    promises.due_date,
    promises.grace_end_date,
    promises.promised_amount,
    promises.paid_amount,
    promises.promise_status_code,
    promises.kept_date,
    changes.partly_kept_date,
    changes.broken_date,
    changes.last_changed_date,
    cast(changes.change_count as bigint) as change_count,
    attempts.interaction_id as follow_up_interaction_id,
    attempts.occurred_date as follow_up_date,
    attempts.channel_code as follow_up_channel_code,
    {{ days_between('lapsed.lapsed_date', 'attempts.occurred_date') }} as days_to_follow_up
from {{ ref('fct_promises') }} as promises
inner join changes on promises.promise_id = changes.promise_id
left join {{ ref('fct_interactions') }} as interactions on promises.interaction_id = interactions.interaction_id
left join lapsed on promises.promise_id = lapsed.promise_id
left join attempts
    on promises.promise_id = attempts.promise_id
    and attempts.place = 1
