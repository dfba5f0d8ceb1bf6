-- K40 and the second reading of K41: persons to be worked in a period, and those whom somebody tried to reach or reached.
with cells as (
    select
        coverage.*,
        branches.province
    from {{ ref('kpi_coverage') }} as coverage
    left join {{ ref('dim_branches') }} as branches on coverage.branch_id = branches.branch_id
)

{{ kpi_grain_rows('cells', [
    ['K40_ATTEMPTED', 'attempted_person_count', 'workable_person_count'],
    ['K40_CONTACTED', 'contacted_person_count', 'workable_person_count'],
    ['K41_WORKABLE', 'workable_attempt_count', 'workable_person_count'],
], ['total', 'branch', 'product', 'segment', 'branch_product', 'province']) }}
