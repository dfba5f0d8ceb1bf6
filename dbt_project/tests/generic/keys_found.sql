{#- Every key of a fact, date included, names a row of its dimension: no row of a report falls out of a total. -#}
{% test keys_found(model, dimensions) %}
{%- set names = {
    'branch_key': 'star_dim_branches', 'product_key': 'star_dim_products', 'segment_key': 'star_dim_segments',
    'bucket_key': 'star_dim_buckets', 'collector_key': 'star_dim_collectors', 'channel_key': 'star_dim_channels',
    'campaign_key': 'star_dim_campaigns', 'kpi_key': 'star_dim_kpis', 'customer_key': 'star_dim_customers',
    'loan_key': 'star_dim_loans', 'date_key': 'star_dim_dates', 'due_date_key': 'star_dim_dates',
} -%}
{%- for key in dimensions %}
select '{{ key }}' as key_name, cast(facts.{{ key }} as bigint) as key_value
from (select distinct {{ key }} from {{ model }}) as facts
left join {{ ref(names[key]) }} as members
    on facts.{{ key }} = members.{{ 'date_key' if key == 'due_date_key' else key }}
where members.{{ 'date_key' if key == 'due_date_key' else key }} is null
{{ 'union all' if not loop.last }}
{%- endfor %}
{% endtest %}
