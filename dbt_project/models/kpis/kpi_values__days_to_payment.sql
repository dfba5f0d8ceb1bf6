-- K37: from the first past-due day of a loan to the first money that came while it was past due, on the day of that money.
with firsts as (
    select
        spells.loan_id,
        spells.entered_date,
        min(payments.paid_date) as paid_date
    from {{ ref('int_loans__arrears_spells') }} as spells
    inner join {{ ref('fct_payments') }} as payments
        on spells.loan_id = payments.loan_id
        and payments.paid_date >= spells.entered_date
        and payments.paid_date <= spells.left_date
    where not payments.is_reversal
    group by spells.loan_id, spells.entered_date
),

measured as (
    select
        days.period_code,
        days.as_of_date,
        lifespans.branch_id,
        lifespans.product_code,
        branches.province,
        {{ days_between('firsts.entered_date', 'firsts.paid_date') }} as waited_days
    from firsts
    inner join {{ ref('kpi_period_days') }} as days on firsts.paid_date = days.activity_date
    inner join {{ ref('int_loans__lifespans') }} as lifespans on firsts.loan_id = lifespans.loan_id
    left join {{ ref('dim_branches') }} as branches on lifespans.branch_id = branches.branch_id
)

{% for grain in ['total', 'branch', 'product', 'branch_product', 'province'] -%}
{% if not loop.first %}union all{% endif %}
{{ kpi_figure_rows('measured', 'K37', 'percentile_cont(0.5) within group (order by waited_days)', grain) }}
{% endfor %}
