{{ config(materialized='incremental', incremental_strategy='replace', meta={'replaced':
    "replaced.as_of_date in (select as_of_date from intermediate.int_changes__list_dates)"
}) }}

-- What became of every contact that was put on a list: the first attempt on the member from the day of the list to the end
-- of the response window, on the channel of the list before any other.
with issued as (
    select
        decisions.as_of_date,
        decisions.customer_id,
        decisions.loan_id,
        decisions.action as channel_code,
        decisions.collector_id,
        decisions.rank as list_rank,
        decisions.is_exploration,
        {{ add_days('decisions.as_of_date', var('response_window_days')) }} as window_end_date,
        run.as_of_date as run_date
    from {{ source('decisions', 'decisions') }} as decisions
    cross join {{ source('control', 'run_parameters') }} as run
    where
        decisions.action <> 'none'
        and decisions.as_of_date <= run.as_of_date
        {{ changed_rows('decisions.as_of_date', 'int_changes__list_dates', clause='and') }}
),

attempts as (
    select
        issued.as_of_date,
        issued.customer_id,
        interactions.interaction_id,
        interactions.occurred_date,
        interactions.channel_code,
        interactions.collector_id,
        interactions.outcome_code,
        interactions.is_contact,
        interactions.is_right_party,
        row_number() over (
            partition by issued.as_of_date, issued.customer_id
            order by
                case when interactions.channel_code = issued.channel_code then 0 else 1 end,
                interactions.occurred_at,
                {{ bytewise('interactions.interaction_id') }}
        ) as place
    from issued
    inner join {{ ref('fct_interactions') }} as interactions
        on issued.customer_id = interactions.customer_id
        and interactions.occurred_date >= issued.as_of_date
        and interactions.occurred_date <= issued.window_end_date
        and interactions.is_attempt
),

payments as (
    select
        issued.as_of_date,
        issued.customer_id,
        min(paid.paid_date) as paid_date,
        sum(paid.payment_amount) as paid_amount
    from issued
    inner join {{ ref('fct_payments') }} as paid
        on issued.customer_id = paid.customer_id
        and paid.paid_date >= issued.as_of_date
        and paid.paid_date <= issued.window_end_date
    group by issued.as_of_date, issued.customer_id
),

judged as (
    select
        issued.*,
        attempts.interaction_id,
        attempts.occurred_date as worked_date,
        attempts.channel_code as worked_channel_code,
        attempts.collector_id as worked_collector_id,
        attempts.outcome_code,
        attempts.is_contact,
        attempts.is_right_party,
        case when payments.paid_amount > 0 then payments.paid_date end as paid_date,
        coalesce(payments.paid_amount, 0) as paid_amount,
        case
            when attempts.interaction_id is null and issued.run_date < issued.window_end_date then 'pending'
            when attempts.interaction_id is null then 'not_worked'
            when attempts.channel_code <> issued.channel_code then 'other_channel'
            when attempts.occurred_date = issued.as_of_date then 'same_day'
            else 'later'
        end as completion_code
    from issued
    left join attempts
        on issued.as_of_date = attempts.as_of_date
        and issued.customer_id = attempts.customer_id
        and attempts.place = 1
    left join payments
        on issued.as_of_date = payments.as_of_date
        and issued.customer_id = payments.customer_id
)

select
    as_of_date,
    customer_id,
    loan_id,
    channel_code,
    collector_id,
    cast(list_rank as bigint) as list_rank,
    is_exploration,
    window_end_date,
    completion_code,
    case
        when completion_code = 'not_worked' and paid_amount > 0 then 'paid'
        when completion_code = 'not_worked' then 'not_recorded'
        when completion_code = 'other_channel' then 'other_channel'
        when completion_code = 'pending' then 'window_open'
        when collector_id is not null and worked_collector_id is not null and worked_collector_id <> collector_id
            then 'other_collector'
    end as reason_code,
    interaction_id,
    worked_date,
    {{ days_between('as_of_date', 'worked_date') }} as days_to_work,
    worked_channel_code,
    worked_collector_id,
    outcome_code,
    is_contact,
    is_right_party,
    paid_date,
    {{ money('paid_amount') }} as paid_amount
from judged
