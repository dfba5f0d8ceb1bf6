{{ config(
    materialized='incremental',
    incremental_strategy='replace',
    meta={'replaced': "replaced.activity_date in (select activity_date from intermediate.int_changes__activity_dates)"
        ~ " or replaced.activity_date < (select history_start_date from control.run_parameters)"},
) }}

-- Rates are of attempts: what the member began is counted beside them. A collector's day of work is shared among the cells by
-- attempts, so that it can be summed: over everything that a collector did on a day it is 1.
with interactions as (
    select
        interactions.*,
        channels.needs_collector,
        {% if var('cost_reading') == 'with_defaults' -%}
        -- What the institution does not say costs what a contact of the channel usually does; what the member began is free.
        coalesce(
            interactions.cost_amount, case when interactions.is_attempt then costs.contact_cost_amount end
        ) as counted_cost_amount
        {%- else -%}
        interactions.cost_amount as counted_cost_amount
        {%- endif %}
    from {{ ref('fct_interactions') }} as interactions
    inner join {{ ref('int_changes__activity_dates') }} as changed on interactions.occurred_date = changed.activity_date
    cross join {{ source('control', 'run_parameters') }} as run
    left join {{ ref('channels') }} as channels on interactions.channel_code = channels.channel_code
    left join {{ ref('channel_costs') }} as costs
        on interactions.channel_code = costs.channel_code
        and costs.currency_code = '{{ var("currency") }}'
        and {{ is_in_force('costs', 'interactions.occurred_date') }}
    where interactions.occurred_date >= run.history_start_date
),

cells as (
    select
        interactions.occurred_date as activity_date,
        interactions.branch_id,
        interactions.product_code,
        interactions.segment_code,
        interactions.collector_id,
        interactions.channel_code,
        interactions.campaign_id,
        count(case when is_attempt then 1 end) as attempt_count,
        count(case when is_attempt and is_contact then 1 end) as contact_count,
        count(case when is_attempt and is_right_party then 1 end) as right_party_count,
        count(case when is_attempt and outcome_code = 'wrong_number' then 1 end) as wrong_number_count,
        count(case when is_attempt and outcome_code = 'third_party' then 1 end) as third_party_count,
        count(case when is_attempt and outcome_code = 'promise' then 1 end) as promise_outcome_count,
        count(case when is_attempt and outcome_code = 'refusal' then 1 end) as refusal_count,
        count(case when is_attempt and outcome_code = 'dispute' then 1 end) as dispute_count,
        count(case when is_attempt and outcome_code = 'complaint' then 1 end) as complaint_count,
        count(case when not is_attempt then 1 end) as inbound_count,
        count(case when needs_collector and duration_seconds > 0 then 1 end) as handled_count,
        -- Minutes to the thousandth of a second: a sum of exact numbers is the same in any order.
        cast(
            coalesce(sum(case when needs_collector then cast(duration_seconds as numeric(18, 3)) end), 0) / 60
            as double precision
        ) as talk_minutes,
        count(case when is_attempt and counted_cost_amount is not null then 1 end) as costed_attempt_count,
        -- Nothing costed is not known to cost nothing.
        cast(sum(case when is_attempt then counted_cost_amount end) as numeric(18, 4)) as attempt_cost_amount,
        cast(sum(counted_cost_amount) as numeric(18, 4)) as contact_cost_amount
    from interactions
    group by
        interactions.occurred_date,
        interactions.branch_id,
        interactions.product_code,
        interactions.segment_code,
        interactions.collector_id,
        interactions.channel_code,
        interactions.campaign_id
)

select
    activity_date,
    branch_id,
    product_code,
    segment_code,
    collector_id,
    channel_code,
    campaign_id,
    attempt_count,
    contact_count,
    right_party_count,
    wrong_number_count,
    contact_count + wrong_number_count as answered_count,
    third_party_count,
    promise_outcome_count,
    refusal_count,
    dispute_count,
    complaint_count,
    inbound_count,
    handled_count,
    talk_minutes,
    talk_minutes / 60 as talk_hours,
    costed_attempt_count,
    attempt_cost_amount,
    contact_cost_amount,
    case
        when collector_id is null then cast(0 as double precision)
        else coalesce(
            {{ ratio('attempt_count', 'sum(attempt_count) over (partition by activity_date, collector_id)') }},
            cast(0 as double precision)
        )
    end as collector_day_count
from cells
