{{ config(materialized='incremental', incremental_strategy='replace', meta={'replaced':
    "replaced.interaction_id in (select interaction_id from intermediate.int_changes__interactions)"
}) }}

with interactions as (
    select
        interactions.*,
        {{ local_timestamp('interactions.occurred_at') }} as occurred_local_at,
        {{ local_date('interactions.occurred_at') }} as occurred_date
    from {{ ref('stg_core__interactions') }} as interactions
    {{ changed_rows('interactions.interaction_id', 'int_changes__interactions') }}
),

known as (
    select interactions.*
    from interactions
    cross join {{ source('control', 'run_parameters') }} as run
    left join {{ ref('int_interactions__repeated') }} as repeated on interactions.interaction_id = repeated.interaction_id
    where
        interactions.occurred_date <= run.as_of_date
        and repeated.interaction_id is null
        and not ({{ is_withdrawn('interactions') }})
),

-- The loan that the contact names, or every loan of the member when it names none.
meant as (
    select
        interaction_id,
        loan_id,
        occurred_date
    from known
    where loan_id is not null

    union all

    select
        known.interaction_id,
        loans.loan_id,
        known.occurred_date
    from known
    inner join {{ ref('int_loans__lifespans') }} as loans on known.customer_id = loans.customer_id
    where known.loan_id is null
),

worst as (
    select
        meant.interaction_id,
        max({{ past_due_days_before('meant.occurred_date', 'states', 'lifespans') }}) as past_due_days
    from meant
    inner join {{ ref('int_loans__lifespans') }} as lifespans on meant.loan_id = lifespans.loan_id
    inner join {{ ref('int_payments__allocated') }} as states
        on meant.loan_id = states.loan_id
        and {{ is_state_before('states', 'meant.occurred_date') }}
    group by meant.interaction_id
)

select
    known.interaction_id,
    known.customer_id,
    known.loan_id,
    coalesce(lifespans.branch_id, customers.branch_id) as branch_id,
    lifespans.product_code,
    known.occurred_at,
    known.occurred_date,
    case when {{ has_clock_time('known.occurred_at') }} then cast(extract(hour from known.occurred_local_at) as bigint) end
        as occurred_hour,
    known.channel_code,
    known.direction_code,
    known.outcome_code,
    known.direction_code = 'outbound' as is_attempt,
    coalesce(outcomes.is_contact, false) as is_contact,
    coalesce(outcomes.is_right_party, false) as is_right_party,
    known.collector_id,
    known.campaign_id,
    cast(known.duration_seconds as double precision) as duration_seconds,
    -- A message costs less than a cent.
    cast(known.cost_amount as numeric(18, 4)) as cost_amount,
    cast(known.propensity as double precision) as propensity,
    worst.past_due_days,
    ladders.segment_code
from known
left join {{ ref('outcomes') }} as outcomes on known.outcome_code = outcomes.outcome_code
left join {{ ref('int_loans__lifespans') }} as lifespans on known.loan_id = lifespans.loan_id
left join {{ ref('stg_core__customers') }} as customers on known.customer_id = customers.customer_id
left join worst on known.interaction_id = worst.interaction_id
left join {{ ref('int_past_due_days__ladders') }} as ladders
    on {{ ladder_day('worst.past_due_days') }} = ladders.past_due_days
