{{ config(materialized='incremental', incremental_strategy='replace', meta={'replaced':
    "replaced.promise_id in (select promise_id from intermediate.int_changes__promises)"
}) }}

with progress as (
    select progress.*, run.as_of_date
    from {{ ref('int_promises__progress') }} as progress
    cross join {{ source('control', 'run_parameters') }} as run
    {{ changed_rows('progress.promise_id', 'int_changes__promises') }}
),

known as (
    select *
    from progress
    where valid_from_date <= as_of_date and valid_to_date > as_of_date
),

marked as (
    select
        promise_id,
        valid_from_date,
        {{ is_promise_kept('paid_amount', 'promised_amount') }} as is_kept
    from progress
    where valid_from_date <= as_of_date
),

-- A reversal before the end of the grace takes a promise back: only days after the last one without the money count.
kept as (
    select
        marked.promise_id,
        min(marked.valid_from_date) as kept_date
    from marked
    left join (
        select promise_id, max(valid_from_date) as valid_from_date
        from marked
        where not is_kept
        group by promise_id
    ) as lacking on marked.promise_id = lacking.promise_id
    where marked.is_kept and (lacking.valid_from_date is null or marked.valid_from_date > lacking.valid_from_date)
    group by marked.promise_id
),

stated as (
    select
        known.*,
        lifespans.branch_id,
        lifespans.product_code,
        {{ past_due_days_before('known.made_date', 'states', 'lifespans') }} as past_due_days
    from known
    inner join {{ ref('int_loans__lifespans') }} as lifespans on known.loan_id = lifespans.loan_id
    inner join {{ ref('int_payments__allocated') }} as states
        on known.loan_id = states.loan_id
        and {{ is_state_before('states', 'known.made_date') }}
)

select
    stated.promise_id,
    stated.interaction_id,
    stated.loan_id,
    stated.customer_id,
    stated.branch_id,
    stated.product_code,
    ladders.segment_code,
    stated.made_at,
    stated.made_date,
    stated.due_date,
    stated.grace_end_date,
    kept.kept_date,
    stated.promised_amount,
    stated.paid_amount,
    {{ promise_status('stated', 'stated.as_of_date') }} as promise_status_code,
    interactions.collector_id,
    interactions.channel_code,
    interactions.campaign_id
from stated
left join kept on stated.promise_id = kept.promise_id
left join {{ ref('fct_interactions') }} as interactions on stated.interaction_id = interactions.interaction_id
left join {{ ref('int_past_due_days__ladders') }} as ladders
    on {{ ladder_day('stated.past_due_days') }} = ladders.past_due_days
