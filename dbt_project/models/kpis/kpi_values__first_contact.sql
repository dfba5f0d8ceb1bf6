-- K49: working hours from the first past-due day of a loan to the first attempt at its member, and to the first time that the
-- member was reached in person, on the day of that contact. The clock stands still outside working hours.
{%- set opening_hour = var('working_day_start_hour') %}
{%- set hours_a_day = var('working_day_end_hour') - var('working_day_start_hour') %}

with contacts as (
    select
        interactions.customer_id,
        interactions.loan_id,
        interactions.occurred_date,
        interactions.is_right_party,
        {{ local_timestamp('interactions.occurred_at') }} as occurred_local_at
    from {{ ref('fct_interactions') }} as interactions
    where interactions.is_attempt
),

firsts as (
    select
        spells.loan_id,
        spells.entered_date,
        lifespans.branch_id,
        lifespans.product_code,
        min(contacts.occurred_local_at) as attempted_at,
        min(case when contacts.is_right_party then contacts.occurred_local_at end) as reached_at
    from {{ ref('int_loans__arrears_spells') }} as spells
    inner join {{ ref('int_loans__lifespans') }} as lifespans on spells.loan_id = lifespans.loan_id
    inner join contacts
        on lifespans.customer_id = contacts.customer_id
        and contacts.occurred_date >= spells.entered_date
        and contacts.occurred_date < spells.left_date
    -- A contact about another loan of the member is none about this one.
    where contacts.loan_id is null or contacts.loan_id = spells.loan_id
    group by spells.loan_id, spells.entered_date, lifespans.branch_id, lifespans.product_code
),

events as (
    select 'K49_ATTEMPT' as kpi_code, entered_date, branch_id, product_code, attempted_at as happened_at
    from firsts

    union all

    select 'K49_RPC', entered_date, branch_id, product_code, reached_at
    from firsts
    where reached_at is not null
),

measured as (
    select
        events.kpi_code,
        days.period_code,
        days.as_of_date,
        events.branch_id,
        events.product_code,
        branches.province,
        -- Whole working days from the first past-due day to the day before, and what had passed of the day itself.
        cast(
            {{ hours_a_day }} * (
                ending.working_day_no - case when ending.is_working then 1 else 0 end
                - beginning.working_day_no + case when beginning.is_working then 1 else 0 end
            )
            + case
                when ending.is_working then least(
                    greatest(
                        extract(hour from events.happened_at) + extract(minute from events.happened_at) / 60.0
                        - {{ opening_hour }},
                        0
                    ),
                    {{ hours_a_day }}
                )
                else 0
            end as double precision
        ) as waited_hours
    from events
    inner join {{ ref('kpi_period_days') }} as days on cast(events.happened_at as date) = days.activity_date
    inner join {{ ref('int_calendar__working_days') }} as beginning on events.entered_date = beginning.calendar_date
    inner join {{ ref('int_calendar__working_days') }} as ending on cast(events.happened_at as date) = ending.calendar_date
    left join {{ ref('dim_branches') }} as branches on events.branch_id = branches.branch_id
),

attempted as (
    select * from measured where kpi_code = 'K49_ATTEMPT'
),

reached as (
    select * from measured where kpi_code = 'K49_RPC'
)

{% for relation, kpi_code in [('attempted', 'K49_ATTEMPT'), ('reached', 'K49_RPC')] -%}
{% set last_relation = loop.last -%}
{% for grain in ['total', 'branch', 'product', 'branch_product', 'province'] -%}
{{ kpi_figure_rows(relation, kpi_code, 'percentile_cont(0.5) within group (order by waited_hours)', grain) }}
{% if not (last_relation and loop.last) %}union all{% endif %}
{% endfor -%}
{% endfor %}
