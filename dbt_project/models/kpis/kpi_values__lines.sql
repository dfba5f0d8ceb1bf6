-- K05 by the regulator's credit lines, to which products are mapped by date.
with cells as (
    select
        periods.period_code,
        parts.as_of_date,
        parts.branch_id,
        products.line_code,
        parts.unproductive_amount,
        parts.gross_amount
    from {{ ref('kpi_portfolio') }} as parts
    inner join {{ ref('kpi_periods') }} as periods on parts.as_of_date = periods.as_of_date
    inner join {{ ref('products') }} as products
        on parts.product_code = products.product_code
        and {{ is_in_force('products', 'parts.as_of_date') }}
),

summed as (
    {% for grain in ['total', 'branch'] -%}
    select
        cells.period_code,
        cells.as_of_date,
        '{{ grain }}' as grain_code,
        {{ kpi_key_columns(grain, 'cells') }},
        cells.line_code,
        sum(cells.unproductive_amount) as unproductive_amount,
        sum(cells.gross_amount) as gross_amount
    from cells
    group by cells.period_code, cells.as_of_date, cells.line_code{% for key in kpi_grains()[grain] %}, cells.{{ key }}{% endfor %}
    {% if not loop.last %}
    union all

    {% endif -%}
    {% endfor %}
)

{{ kpi_value_rows('summed', [('K05_LINE', 'line_code', 'unproductive_amount', 'gross_amount')]) }}
