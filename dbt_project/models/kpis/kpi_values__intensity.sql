-- K41: attempts by the persons attempted. A person counts once per period in each cell of a grain, so no grain is the sum of
-- another. The agency and the province are today's, of whatever day the attempt is, so all periods are computed anew.
with attempts as (
    select
        days.period_code,
        days.as_of_date,
        interactions.customer_id,
        interactions.branch_id,
        interactions.product_code,
        interactions.segment_code,
        interactions.collector_id,
        collectors.agency,
        interactions.channel_code,
        interactions.campaign_id,
        branches.province,
        count(*) as attempt_count
    from {{ ref('fct_interactions') }} as interactions
    inner join {{ ref('kpi_period_days') }} as days on interactions.occurred_date = days.activity_date
    left join {{ ref('dim_branches') }} as branches on interactions.branch_id = branches.branch_id
    left join {{ ref('dim_collectors') }} as collectors on interactions.collector_id = collectors.collector_id
    where interactions.is_attempt
    group by
        days.period_code,
        days.as_of_date,
        interactions.customer_id,
        interactions.branch_id,
        interactions.product_code,
        interactions.segment_code,
        interactions.collector_id,
        collectors.agency,
        interactions.channel_code,
        interactions.campaign_id,
        branches.province
)

{% for grain in ['total', 'branch', 'product', 'segment', 'collector', 'agency', 'channel', 'campaign', 'province'] -%}
{% if not loop.first %}union all{% endif %}
{{ kpi_figure_rows('attempts', 'K41_ATTEMPTED', 'sum(attempt_count)', grain, 'count(distinct customer_id)') }}
{% endfor %}
