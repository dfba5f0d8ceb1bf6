-- Built whole each day: a promise moves from open to kept or broken by the mere passing of days, and there are few of them.
with promises as (
    select
        promises.*,
        run.as_of_date,
        {{ is_promise_kept('promises.paid_amount', 'promises.promised_amount') }} as is_kept,
        -- The last day of grace is over: what it became, it stays.
        promises.grace_end_date < run.as_of_date as is_settled,
        calendar.next_working_date as follow_up_date
    from {{ ref('fct_promises') }} as promises
    cross join {{ source('control', 'run_parameters') }} as run
    left join {{ ref('int_calendar__working_days') }} as calendar on promises.grace_end_date = calendar.calendar_date
),

-- A promise is broken in the night after its last day of grace; the first working day after it is the time to ask why.
followed as (
    select
        promises.promise_id,
        max(case when interactions.is_attempt then 1 else 0 end) as was_attempted,
        max(case when interactions.is_contact then 1 else 0 end) as was_contacted
    from promises
    inner join {{ ref('fct_interactions') }} as interactions
        on promises.customer_id = interactions.customer_id
        and interactions.occurred_date > promises.grace_end_date
        and interactions.occurred_date <= promises.follow_up_date
    where promises.is_settled and not promises.is_kept
    group by promises.promise_id
),

-- Each promise counts on three days: when it was made, when it fell due, when a broken one was to be followed up.
events as (
    select
        promises.made_date as activity_date,
        promises.*,
        1 as made,
        0 as due,
        0 as follow_up,
        0 as was_attempted,
        0 as was_contacted
    from promises

    union all

    select promises.due_date, promises.*, 0, 1, 0, 0, 0
    from promises
    where promises.is_settled

    union all

    select
        promises.follow_up_date,
        promises.*,
        0,
        0,
        1,
        coalesce(followed.was_attempted, 0),
        coalesce(followed.was_contacted, 0)
    from promises
    left join followed on promises.promise_id = followed.promise_id
    where promises.is_settled and not promises.is_kept and promises.follow_up_date <= promises.as_of_date
)

select
    events.activity_date,
    events.branch_id,
    events.product_code,
    events.segment_code,
    events.collector_id,
    events.channel_code,
    events.campaign_id,
    cast(sum(made) as bigint) as promise_made_count,
    {{ money('sum(made * promised_amount)') }} as promise_made_amount,
    cast(sum(due) as bigint) as promise_due_count,
    {{ money('sum(due * promised_amount)') }} as promise_due_amount,
    cast(sum(case when is_kept then due else 0 end) as bigint) as promise_kept_count,
    cast(sum(case when not is_kept and paid_amount > 0 then due else 0 end) as bigint) as promise_partly_kept_count,
    cast(sum(case when not is_kept and paid_amount <= 0 then due else 0 end) as bigint) as promise_broken_count,
    {{ money('sum(due * least(paid_amount, promised_amount))') }} as promise_due_paid_amount,
    {{ money('sum(case when is_kept then due * least(paid_amount, promised_amount) else 0 end)') }} as promise_kept_amount,
    cast(sum(follow_up) as bigint) as follow_up_count,
    cast(sum(was_attempted) as bigint) as follow_up_attempted_count,
    cast(sum(was_contacted) as bigint) as follow_up_contacted_count
from events
cross join {{ source('control', 'run_parameters') }} as run
where events.activity_date >= run.history_start_date
group by
    events.activity_date,
    events.branch_id,
    events.product_code,
    events.segment_code,
    events.collector_id,
    events.channel_code,
    events.campaign_id
