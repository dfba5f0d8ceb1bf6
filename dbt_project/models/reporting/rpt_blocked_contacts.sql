{{ config(materialized='incremental', incremental_strategy='replace', meta={'replaced':
    "replaced.as_of_date >= (select coalesce(built_as_of_date, cast('1900-01-01' as date)) from control.run_parameters)"
}) }}

-- How many members each rule kept from each channel. A member whom two rules block counts under both; the rows by member
-- are in decisions.details.
with details as (
    select
        details.as_of_date,
        details.channel_code,
        details.customer_id,
        details.is_allowed,
        coalesce(details.is_never, false) as is_never,
        details.blocked_by
    from {{ source('decisions', 'details') }} as details
    cross join {{ source('control', 'run_parameters') }} as run
    where
        details.as_of_date <= run.as_of_date
        -- What was decided on a date stays.
        {% if is_increment() %}and details.as_of_date >= coalesce(run.built_as_of_date, cast('1900-01-01' as date)){% endif %}
),

considered as (
    select
        as_of_date,
        channel_code,
        count(*) as considered_count,
        count(case when not is_allowed then 1 end) as channel_blocked_count
    from details
    group by as_of_date, channel_code
),

-- The same few lists of rules stand in many rows: each is taken apart once.
lists as (
    select
        distinct_lists.blocked_by,
        rules.element as rule_id
    from (select distinct blocked_by from details where not is_allowed) as distinct_lists
    cross join lateral {{ json_elements('distinct_lists.blocked_by') }} as rules
),

sizes as (
    select
        blocked_by,
        count(*) as rule_count
    from lists
    group by blocked_by
)

select
    details.as_of_date,
    details.channel_code,
    lists.rule_id,
    cast(max(considered.considered_count) as bigint) as considered_count,
    cast(max(considered.channel_blocked_count) as bigint) as channel_blocked_count,
    cast(count(*) as bigint) as blocked_count,
    cast(count(case when sizes.rule_count = 1 then 1 end) as bigint) as blocked_alone_count,
    cast(count(case when details.is_never then 1 end) as bigint) as blocked_for_good_count
from details
inner join lists on details.blocked_by = lists.blocked_by
inner join sizes on details.blocked_by = sizes.blocked_by
inner join considered
    on details.as_of_date = considered.as_of_date
    and details.channel_code = considered.channel_code
where not details.is_allowed
group by details.as_of_date, details.channel_code, lists.rule_id
