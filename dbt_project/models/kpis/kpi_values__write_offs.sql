-- K20: principal written off in the period over the portfolio; K21: money received on written-off loans over the stock of
-- them at the opening. Both need the day before the period: where it is not kept there is no row. A loan stands in the
-- segment that it had then; one that was not lent yet had nothing past due.
with openings as (
    select
        periods.period_code,
        periods.as_of_date,
        periods.first_date,
        periods.opening_date
    from {{ ref('kpi_periods') }} as periods
    where periods.opening_date in (select as_of_date from {{ ref('kpi_portfolio') }})
),

written_off_loans as (
    select
        openings.period_code,
        openings.as_of_date,
        openings.first_date,
        loans.loan_id,
        loans.branch_id,
        loans.product_code,
        coalesce(states.segment_code, 'preventive') as segment_code,
        loans.written_off_date,
        loans.written_off_amount
    from {{ ref('int_loans__written_off') }} as loans
    inner join openings on loans.written_off_date <= openings.as_of_date
    left join {{ ref('fct_loan_as_of') }} as states
        on openings.opening_date = states.as_of_date
        and loans.loan_id = states.loan_id
),

written_off as (
    select
        loans.period_code,
        loans.as_of_date,
        loans.branch_id,
        loans.product_code,
        loans.segment_code,
        loans.written_off_amount,
        0 as recovered_amount,
        0 as opening_gross_amount,
        0 as closing_gross_amount,
        0 as opening_stock_amount
    from written_off_loans as loans
    where loans.written_off_date >= loans.first_date
),

-- What was paid up to the day of the write-off had lowered what was written off: undoing it later is no loss of recovery.
recovered as (
    select
        loans.period_code,
        loans.as_of_date,
        loans.branch_id,
        loans.product_code,
        loans.segment_code,
        0 as written_off_amount,
        payments.payment_amount as recovered_amount,
        0 as opening_gross_amount,
        0 as closing_gross_amount,
        0 as opening_stock_amount
    from {{ ref('fct_payments') }} as payments
    inner join written_off_loans as loans
        on payments.loan_id = loans.loan_id
        and payments.paid_date > loans.written_off_date
        and payments.paid_date between loans.first_date and loans.as_of_date
    left join {{ ref('fct_payments') }} as undone
        on payments.reverses_payment_id = undone.payment_id
        and payments.loan_id = undone.loan_id
        and undone.paid_date <= payments.paid_date
    where coalesce(undone.paid_date, payments.paid_date) > loans.written_off_date
),

stocks as (
    select
        openings.period_code,
        openings.as_of_date,
        parts.branch_id,
        parts.product_code,
        parts.segment_code,
        0 as written_off_amount,
        0 as recovered_amount,
        case when parts.as_of_date = openings.opening_date then parts.gross_amount else 0 end as opening_gross_amount,
        case when parts.as_of_date = openings.as_of_date then parts.gross_amount else 0 end as closing_gross_amount,
        case when parts.as_of_date = openings.opening_date then parts.written_off_stock_amount else 0 end as opening_stock_amount
    from {{ ref('kpi_portfolio') }} as parts
    inner join openings on parts.as_of_date in (openings.opening_date, openings.as_of_date)
),

summed as (
    {% for grain in ['total', 'branch', 'product', 'segment', 'branch_product', 'province'] -%}
    select
        rows_{{ grain }}.period_code,
        rows_{{ grain }}.as_of_date,
        '{{ grain }}' as grain_code,
        {{ kpi_key_columns(grain, 'rows_' ~ grain) }},
        sum(written_off_amount) as written_off_amount,
        sum(recovered_amount) as recovered_amount,
        sum(opening_gross_amount) as opening_gross_amount,
        sum(closing_gross_amount) as closing_gross_amount,
        sum(opening_stock_amount) as opening_stock_amount
    from (
        select moved.*, branches.province
        from (
            select * from written_off
            union all
            select * from recovered
            union all
            select * from stocks
        ) as moved
        left join {{ ref('dim_branches') }} as branches on moved.branch_id = branches.branch_id
    ) as rows_{{ grain }}
    group by rows_{{ grain }}.period_code, rows_{{ grain }}.as_of_date{% for key in kpi_grains()[grain] %}, rows_{{ grain }}.{{ key }}{% endfor %}
    {% if not loop.last %}
    union all

    {% endif -%}
    {% endfor %}
)

{{ kpi_value_rows('summed', [
    ('K20', none, 'written_off_amount',
     'opening_gross_amount' if var('writeoff_average') == 'opening' else '(opening_gross_amount + closing_gross_amount) / 2.0'),
    ('K20_AMOUNT', none, 'written_off_amount', '1'),
    ('K21', none, 'recovered_amount', 'opening_stock_amount'),
    ('K21_AMOUNT', none, 'recovered_amount', '1'),
]) }}
