-- K11: how the portfolio is spread over the buckets of past-due days and over the bands that the regulator reports;
-- K24_RATING: over the rating categories. Each share is of the whole portfolio of its grain.
with parts as (
    select
        periods.period_code,
        parts.as_of_date,
        parts.branch_id,
        parts.product_code,
        branches.province,
        parts.bucket_code,
        parts.band_code,
        parts.rating_code,
        parts.gross_amount,
        parts.active_loan_count,
        parts.required_provision_amount
    from {{ ref('kpi_portfolio') }} as parts
    inner join {{ ref('kpi_periods') }} as periods on parts.as_of_date = periods.as_of_date
    left join {{ ref('dim_branches') }} as branches on parts.branch_id = branches.branch_id
    where parts.active_loan_count > 0
),

{% set ladders = {'bucket': 'bucket_code', 'band': 'band_code', 'rating': 'rating_code'} -%}
{% for ladder, column in ladders.items() -%}
by_{{ ladder }} as (
    {% for grain in ['total', 'branch', 'product', 'branch_product', 'province'] -%}
    {%- set keys = kpi_grains()[grain] -%}
    select
        parts.period_code,
        parts.as_of_date,
        '{{ grain }}' as grain_code,
        {{ kpi_key_columns(grain, 'parts') }},
        parts.{{ column }} as rung_code,
        sum(parts.gross_amount) as gross_amount,
        sum(parts.active_loan_count) as loan_count,
        sum(parts.required_provision_amount) as provision_amount,
        sum(sum(parts.gross_amount)) over (partition by parts.period_code, parts.as_of_date{% for key in keys %}, parts.{{ key }}{% endfor %}) as whole_amount,
        sum(sum(parts.active_loan_count)) over (partition by parts.period_code, parts.as_of_date{% for key in keys %}, parts.{{ key }}{% endfor %}) as whole_count
    from parts
    group by parts.period_code, parts.as_of_date, parts.{{ column }}{% for key in keys %}, parts.{{ key }}{% endfor %}
    {% if not loop.last %}
    union all

    {% endif -%}
    {% endfor %}
){% if not loop.last %},{% endif %}

{% endfor %}
{{ kpi_value_rows('by_bucket', [
    ('K11', 'rung_code', 'gross_amount', 'whole_amount'),
    ('K11_COUNT', 'rung_code', 'loan_count', 'whole_count'),
]) }}
union all

{{ kpi_value_rows('by_band', [
    ('K11_BAND', 'rung_code', 'gross_amount', 'whole_amount'),
    ('K11_BAND_COUNT', 'rung_code', 'loan_count', 'whole_count'),
]) }}
union all

{{ kpi_value_rows("(select * from by_rating where rung_code is not null) as rated", [
    ('K24_RATING', 'rung_code', 'gross_amount', 'whole_amount'),
    ('K24_RATING_PROVISION', 'rung_code', 'provision_amount', '1'),
]) }}
