-- K28 and K29: what fell due in a period and what was owed before it, against what was collected.
{%- set grains = ['total', 'branch', 'product', 'segment', 'branch_product', 'province'] %}

with cells as (
    select
        collection.*,
        branches.province
    from {{ ref('kpi_collection') }} as collection
    left join {{ ref('dim_branches') }} as branches on collection.branch_id = branches.branch_id
)

{% set prepaid = ' - due_prepaid_amount' if var('prepayments') == 'excluded' else '' -%}
{{ kpi_grain_rows('cells', [
    ['K28', 'due_collected_amount' ~ prepaid, 'due_amount' ~ prepaid],
    [
        'K29',
        'opening_receivable_amount + due_amount - closing_receivable_amount',
        'opening_receivable_amount + due_amount - closing_current_amount',
    ],
], grains) }}
