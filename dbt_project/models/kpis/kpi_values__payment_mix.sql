-- K38: the part of the money of a period that came by each way of paying; a reversal counts where its payment did.
with cells as (
    select
        days.period_code,
        days.as_of_date,
        recovery.branch_id,
        recovery.product_code,
        recovery.segment_code,
        branches.province,
        coalesce(recovery.method_code, 'unknown') as method_code,
        recovery.paid_amount
    from {{ ref('kpi_recovery') }} as recovery
    inner join {{ ref('kpi_period_days') }} as days on recovery.activity_date = days.activity_date
    left join {{ ref('dim_branches') }} as branches on recovery.branch_id = branches.branch_id
),

methods as (
    {{ kpi_grain_rows(
        'cells',
        [['K38', 'paid_amount', 'paid_amount']],
        ['total', 'branch', 'product', 'segment', 'branch_product', 'province'],
        detail='method_code',
        detail_columns=['method_code'],
    ) }}
)

{{ kpi_shares('methods') }}
