-- K34 as far as the contract carries it: money from loans in arrears less what the contacts cost, by hour of talk. Where no
-- contact has a known cost there is no net.
{%- set grains = ['total', 'branch', 'product', 'segment', 'branch_product', 'province'] %}

with parts as (
    select
        activity_date,
        branch_id,
        product_code,
        segment_code,
        delinquent_paid_amount,
        cast(null as numeric(18, 4)) as cost_amount,
        cast(0 as double precision) as talk_hours
    from {{ ref('kpi_recovery') }}

    union all

    select activity_date, branch_id, product_code, segment_code, 0, contact_cost_amount, talk_hours
    from {{ ref('kpi_contacts') }}
),

cells as (
    select
        days.period_code,
        days.as_of_date,
        parts.branch_id,
        parts.product_code,
        parts.segment_code,
        branches.province,
        parts.delinquent_paid_amount,
        parts.cost_amount,
        parts.talk_hours
    from parts
    inner join {{ ref('kpi_period_days') }} as days on parts.activity_date = days.activity_date
    left join {{ ref('dim_branches') }} as branches on parts.branch_id = branches.branch_id
)

{% for grain in grains -%}
{% if not loop.first %}union all{% endif %}
{{ kpi_figure_rows(
    'cells', 'K34_TALK', 'sum(delinquent_paid_amount) - sum(cost_amount)', grain, denominator='sum(talk_hours)'
) }}
{% endfor %}
