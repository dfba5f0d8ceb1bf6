-- K18: the triangle as rows. A cell stands at the end of its own month, so that a month's new cells are a diagonal.
with cells as (
    select
        vintages.as_of_date,
        'month' as period_code,
        vintages.branch_id,
        vintages.product_code,
        branches.province,
        {{ dbt.split_part("cast(vintages.cohort_month as text)", "'-'", 1) }} || '-'
            || {{ dbt.split_part("cast(vintages.cohort_month as text)", "'-'", 2) }}
            || '|' || cast(vintages.month_on_book as text) as cell_code,
        vintages.defaulted_amount,
        vintages.disbursed_amount,
        vintages.defaulted_loan_count,
        vintages.loan_count
    from {{ ref('rpt_vintages') }} as vintages
    inner join {{ ref('kpi_periods') }} as periods
        on vintages.as_of_date = periods.as_of_date
        and periods.period_code = 'month'
    left join {{ ref('dim_branches') }} as branches on vintages.branch_id = branches.branch_id
)

{{ kpi_grain_rows(
    'cells',
    [['K18', 'defaulted_amount', 'disbursed_amount'], ['K18_COUNT', 'defaulted_loan_count', 'loan_count']],
    ['total', 'branch', 'product', 'province'],
    detail='cell_code',
    detail_columns=['cell_code'],
) }}
