-- K25: how much of the arrears few members owe, and how the arrears are concentrated in branches.
with owed as (
    select
        states.as_of_date,
        states.customer_id,
        states.branch_id,
        states.product_code,
        branches.province,
        sum(states.arrears_amount) as arrears_amount
    from {{ ref('fct_loan_as_of') }} as states
    left join {{ ref('dim_branches') }} as branches on states.branch_id = branches.branch_id
    where states.loan_status_code = 'active' and states.arrears_amount > 0
    group by states.as_of_date, states.customer_id, states.branch_id, states.product_code, branches.province
),

{% set grains = ['total', 'branch', 'product', 'province'] -%}
debtors as (
    {% for grain in grains -%}
    select
        owed.as_of_date,
        '{{ grain }}' as grain_code,
        {{ kpi_key_columns(grain, 'owed') }},
        owed.customer_id,
        sum(owed.arrears_amount) as arrears_amount
    from owed
    group by owed.as_of_date, owed.customer_id{% for key in kpi_grains()[grain] %}, owed.{{ key }}{% endfor %}
    {% if not loop.last %}
    union all

    {% endif -%}
    {% endfor %}
),

ranked as (
    select
        debtors.*,
        row_number() over (
            partition by as_of_date, grain_code, branch_id, product_code, province
            order by arrears_amount desc nulls last, customer_id
        ) as debtor_rank,
        count(*) over (partition by as_of_date, grain_code, branch_id, product_code, province) as debtor_count
    from debtors
),

summed as (
    select
        periods.period_code,
        ranked.as_of_date,
        ranked.grain_code,
        {% for key in kpi_keys() -%}
        ranked.{{ key }},
        {% endfor -%}
        -- One per cent of the members in arrears, rounded up: at least one.
        sum(case when 100 * (ranked.debtor_rank - 1) < ranked.debtor_count then ranked.arrears_amount else 0 end) as top_share_amount,
        sum(case when ranked.debtor_rank <= 10 then ranked.arrears_amount else 0 end) as top_ten_amount,
        sum(ranked.arrears_amount) as arrears_amount
    from ranked
    inner join {{ ref('kpi_periods') }} as periods on ranked.as_of_date = periods.as_of_date
    group by periods.period_code, ranked.as_of_date, ranked.grain_code{% for key in kpi_keys() %}, ranked.{{ key }}{% endfor %}
),

offices as (
    {% for grain in ['total', 'product', 'province'] -%}
    select
        periods.period_code,
        owed_at.as_of_date,
        '{{ grain }}' as grain_code,
        {{ kpi_key_columns(grain, 'owed_at') }},
        sum(owed_at.arrears_amount * owed_at.arrears_amount) as squared_amount,
        {{ money('sum(owed_at.arrears_amount)') }} * {{ money('sum(owed_at.arrears_amount)') }} as whole_squared_amount
    from (
        select
            owed.as_of_date,
            owed.branch_id{% for key in kpi_grains()[grain] %},
            owed.{{ key }}{% endfor %},
            -- Exact: squares summed as doubles differ in the last digits with the order of the rows.
            {{ money('sum(owed.arrears_amount)') }} as arrears_amount
        from owed
        group by owed.as_of_date, owed.branch_id{% for key in kpi_grains()[grain] %}, owed.{{ key }}{% endfor %}
    ) as owed_at
    inner join {{ ref('kpi_periods') }} as periods on owed_at.as_of_date = periods.as_of_date
    group by periods.period_code, owed_at.as_of_date{% for key in kpi_grains()[grain] %}, owed_at.{{ key }}{% endfor %}
    {% if not loop.last %}
    union all

    {% endif -%}
    {% endfor %}
)

{{ kpi_value_rows('summed', [
    ('K25_TOP1', none, 'top_share_amount', 'arrears_amount'),
    ('K25_TOP10', none, 'top_ten_amount', 'arrears_amount'),
]) }}
union all

{{ kpi_value_rows('offices', [('K25_HHI', none, 'squared_amount', 'whole_squared_amount')]) }}
