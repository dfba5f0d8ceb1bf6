-- How far our figures are from the core's on the newest day of its balances, and the money that no instalment took: at the
-- run's date only, because the core speaks of one day and what is unmatched today may be matched tomorrow.
with rows_of_parts as (
    select
        loans.branch_id,
        loans.product_code,
        1 as compared_count,
        case when loans.is_reconciled then 1 else 0 end as reconciled_count,
        case when loans.is_explained then 0 else 1 end as unexplained_count,
        case
            when loans.is_explained then 0
            else coalesce(abs(loans.arrears_difference_amount), 0)
                + coalesce(abs(loans.outstanding_principal_difference_amount), 0)
        end as unexplained_amount,
        0 as unmatched_amount,
        0 as unmatched_amount_days
    from {{ ref('fct_loan_reconciliation') }} as loans
    where loans.is_compared

    union all

    -- A negative amount is a row that the door turned away for being one, or a reversal without its payment.
    select
        unmatched.branch_id,
        unmatched.product_code,
        0,
        0,
        0,
        0,
        abs(coalesce(unmatched.unmatched_amount, 0)),
        abs(coalesce(unmatched.unmatched_amount, 0)) * coalesce(unmatched.age_days, 0)
    from {{ ref('rpt_unmatched_payments') }} as unmatched
),

summed as (
    {% for grain in ['total', 'branch', 'product', 'branch_product', 'province'] -%}
    select
        periods.period_code,
        periods.as_of_date,
        '{{ grain }}' as grain_code,
        {{ kpi_key_columns(grain, 'rows_' ~ grain) }},
        sum(compared_count) as compared_count,
        sum(reconciled_count) as reconciled_count,
        sum(unexplained_count) as unexplained_count,
        sum(unexplained_amount) as unexplained_amount,
        sum(unmatched_amount) as unmatched_amount,
        sum(unmatched_amount_days) as unmatched_amount_days
    from (
        select parts.*, branches.province
        from rows_of_parts as parts
        left join {{ ref('dim_branches') }} as branches on parts.branch_id = branches.branch_id
    ) as rows_{{ grain }}
    cross join {{ source('control', 'run_parameters') }} as run
    inner join {{ ref('kpi_periods') }} as periods on periods.as_of_date = run.as_of_date
    group by periods.period_code, periods.as_of_date{% for key in kpi_grains()[grain] %}, rows_{{ grain }}.{{ key }}{% endfor %}
    {% if not loop.last %}
    union all

    {% endif -%}
    {% endfor %}
),

compared as (
    select * from summed where compared_count > 0
)

{{ kpi_value_rows('compared', [
    ('R01', none, 'reconciled_count', 'compared_count'),
    ('R02', none, 'unexplained_count', 'compared_count'),
    ('R03', none, 'unexplained_amount', '1'),
]) }}

union all

{{ kpi_value_rows('summed', [
    ('K39', none, 'unmatched_amount', '1'),
    ('K39_AGE', none, 'unmatched_amount_days', 'unmatched_amount'),
]) }}
