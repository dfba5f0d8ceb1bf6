-- What was decided each day and what became of it, in members. The list of a date is worked on that very date; what
-- happened later, and through another channel, is no completion of it. Filled lists often say only the day: such a
-- contact completes its line, and is neither inside nor outside the window.
with run as (
    select * from {{ source('control', 'run_parameters') }}
),

decided as (
    select
        decisions.as_of_date as activity_date,
        decisions.customer_id,
        decisions.collector_id,
        nullif(decisions.action, 'none') as channel_code,
        decisions.action <> 'none' as is_issued,
        decisions.is_exploration,
        decisions.rank,
        decisions.window_start,
        decisions.window_end,
        decisions.expected_gain_amount,
        decisions.contact_cost_amount,
        decisions.arrears_amount,
        coalesce(loans.branch_id, customers.branch_id) as branch_id,
        loans.product_code,
        segments.segment_code
    from {{ source('decisions', 'decisions') }} as decisions
    cross join run
    left join {{ ref('dim_loans') }} as loans on decisions.loan_id = loans.loan_id
    left join {{ ref('dim_customers') }} as customers on decisions.customer_id = customers.customer_id
    left join {{ ref('segments') }} as segments
        on decisions.past_due_days >= segments.min_days
        and (segments.max_days is null or decisions.past_due_days <= segments.max_days)
    where decisions.as_of_date >= run.history_start_date and decisions.as_of_date <= run.as_of_date
),

considered as (
    select
        details.as_of_date as activity_date,
        details.customer_id,
        count(*) as channel_count,
        sum(case when details.is_allowed then 1 else 0 end) as allowed_channel_count
    from {{ source('decisions', 'details') }} as details
    cross join run
    where details.as_of_date >= run.history_start_date and details.as_of_date <= run.as_of_date
    group by details.as_of_date, details.customer_id
),

attempts as (
    select
        interactions.customer_id,
        interactions.occurred_date,
        interactions.occurred_at,
        interactions.channel_code,
        interactions.is_contact,
        -- Of which only the day is known is neither inside the window nor outside.
        interactions.occurred_hour is not null as is_timed
    from {{ ref('fct_interactions') }} as interactions
    cross join run
    where interactions.is_attempt and interactions.occurred_date >= run.history_start_date
),

attempted as (
    select
        decided.activity_date,
        decided.customer_id,
        min(case when attempts.channel_code = decided.channel_code then attempts.occurred_at end) as worked_at,
        min(case when attempts.channel_code = decided.channel_code and attempts.is_timed then attempts.occurred_at end) as timed_at,
        sum(case when attempts.channel_code <> decided.channel_code then 1 else 0 end) as other_channel_count,
        sum(case
            when attempts.is_timed and attempts.occurred_at between decided.window_start and decided.window_end then 1 else 0
        end) as inside_attempt_count,
        sum(case
            when
                attempts.is_timed and attempts.is_contact
                and attempts.occurred_at between decided.window_start and decided.window_end then 1
            else 0
        end) as inside_contact_count,
        sum(case when attempts.is_timed then 1 else 0 end) as attempt_count,
        sum(case when attempts.is_timed and attempts.is_contact then 1 else 0 end) as contact_count
    from decided
    inner join attempts
        on decided.customer_id = attempts.customer_id
        and decided.activity_date = attempts.occurred_date
    where decided.is_issued
    group by decided.activity_date, decided.customer_id
),

paid as (
    select distinct
        payments.customer_id,
        payments.paid_date
    from {{ ref('fct_payments') }} as payments
    inner join run on payments.paid_date >= run.history_start_date
    where payments.payment_amount > 0
),

followed as (
    select
        decided.*,
        coalesce(considered.channel_count, 0) as channel_count,
        coalesce(considered.allowed_channel_count, 0) as allowed_channel_count,
        attempted.worked_at,
        -- At an unknown time it is only sure to be before what was never begun.
        coalesce(attempted.timed_at, cast('9999-12-30' as timestamp)) as ordered_at,
        coalesce(attempted.inside_attempt_count, 0) as inside_attempt_count,
        coalesce(attempted.inside_contact_count, 0) as inside_contact_count,
        coalesce(attempted.attempt_count, 0) - coalesce(attempted.inside_attempt_count, 0) as outside_attempt_count,
        coalesce(attempted.contact_count, 0) - coalesce(attempted.inside_contact_count, 0) as outside_contact_count,
        case
            when not decided.is_issued then null
            when attempted.worked_at is not null then 'worked'
            when attempted.other_channel_count > 0 then 'other_channel'
            when paid.customer_id is not null then 'paid'
            else 'not_worked'
        end as outcome_code,
        -- Of a collector's lines with a better place: the one begun last; never begun is after everything.
        max(case when attempted.worked_at is null then cast('9999-12-31' as timestamp) else attempted.timed_at end) over (
            partition by decided.activity_date, decided.collector_id, case when decided.collector_id is null then decided.customer_id end
            order by decided.rank nulls last, decided.customer_id
            rows between unbounded preceding and 1 preceding
        ) as better_worked_at
    from decided
    left join considered
        on decided.activity_date = considered.activity_date
        and decided.customer_id = considered.customer_id
    left join attempted
        on decided.activity_date = attempted.activity_date
        and decided.customer_id = attempted.customer_id
    left join paid
        on decided.activity_date = paid.paid_date
        and decided.customer_id = paid.customer_id
)

select
    activity_date,
    branch_id,
    product_code,
    segment_code,
    collector_id,
    channel_code,
    cast(count(*) as bigint) as eligible_count,
    cast(sum(case when allowed_channel_count > 0 then 1 else 0 end) as bigint) as contactable_count,
    cast(sum(case when allowed_channel_count = 0 then 1 else 0 end) as bigint) as blocked_count,
    cast(sum(channel_count) as bigint) as considered_contact_count,
    cast(sum(channel_count - allowed_channel_count) as bigint) as blocked_contact_count,
    cast(sum(case when is_exploration then 1 else 0 end) as bigint) as explored_count,
    cast(sum(case when is_exploration and is_issued then 1 else 0 end) as bigint) as explored_contact_count,
    cast(sum(case when is_issued then 1 else 0 end) as bigint) as issued_count,
    cast(sum(case when outcome_code = 'worked' then 1 else 0 end) as bigint) as worked_count,
    cast(sum(case when outcome_code = 'other_channel' then 1 else 0 end) as bigint) as other_channel_count,
    cast(sum(case when outcome_code = 'paid' then 1 else 0 end) as bigint) as paid_before_count,
    cast(sum(case when outcome_code = 'not_worked' then 1 else 0 end) as bigint) as not_worked_count,
    cast(sum(case when outcome_code in ('worked', 'other_channel') then 1 else 0 end) as bigint) as touched_count,
    cast(sum(case when outcome_code = 'worked' and better_worked_at > ordered_at then 1 else 0 end) as bigint)
        as out_of_order_count,
    cast(sum(case
        when outcome_code = 'other_channel' or (outcome_code = 'worked' and better_worked_at > ordered_at) then 1 else 0
    end) as bigint) as override_count,
    cast(sum(inside_attempt_count) as bigint) as inside_attempt_count,
    cast(sum(inside_contact_count) as bigint) as inside_contact_count,
    cast(sum(outside_attempt_count) as bigint) as outside_attempt_count,
    cast(sum(outside_contact_count) as bigint) as outside_contact_count,
    {{ money('sum(coalesce(expected_gain_amount, 0))') }} as expected_gain_amount,
    {{ money('sum(coalesce(contact_cost_amount, 0))') }} as planned_cost_amount,
    {{ money('sum(case when is_issued then arrears_amount else 0 end)') }} as placed_amount
from followed
group by activity_date, branch_id, product_code, segment_code, collector_id, channel_code
