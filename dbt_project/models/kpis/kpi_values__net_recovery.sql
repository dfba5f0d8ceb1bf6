-- K34 as far as the contract carries it: money from loans in arrears less what the contacts cost, by hour of talk.
with parts as (
    select activity_date, branch_id, segment_code, delinquent_paid_amount as net_amount, cast(0 as double precision) as talk_hours
    from {{ ref('kpi_recovery') }}

    union all

    select activity_date, branch_id, segment_code, -contact_cost_amount, talk_hours
    from {{ ref('kpi_contacts') }}
),

cells as (
    select
        days.period_code,
        days.as_of_date,
        parts.branch_id,
        parts.segment_code,
        branches.province,
        parts.net_amount,
        parts.talk_hours
    from parts
    inner join {{ ref('kpi_period_days') }} as days on parts.activity_date = days.activity_date
    left join {{ ref('dim_branches') }} as branches on parts.branch_id = branches.branch_id
)

{{ kpi_grain_rows('cells', [['K34_TALK', 'net_amount', 'talk_hours']], ['total', 'branch', 'segment', 'province']) }}
