-- K12: the matrix itself, by balance and by count. K13: what moves on to worse buckets.
with cells as (
    select
        roll_rates.*,
        roll_rates.from_bucket_code as bucket_code,
        branches.province
    from {{ ref('rpt_roll_rates') }} as roll_rates
    left join {{ ref('dim_branches') }} as branches on roll_rates.branch_id = branches.branch_id
),

-- The denominator is of the opening bucket: every bucket's own balance repeats in each of its cells, so it is added up
-- over cells, where it stands once, and laid beside every state.
details as (
    {{ kpi_grain_rows(
        'cells',
        [['K12', 'opening_balance_amount', 'opening_balance_amount'], ['K12_COUNT', 'loan_count', 'loan_count']],
        ['total', 'branch', 'product', 'segment', 'province'],
        detail="from_bucket_code || '>' || to_state_code",
        detail_columns=['from_bucket_code', 'to_state_code'],
    ) }}
),

matrix as (
    {{ kpi_shares('details', within="split_part(detail_code, '>', 1)") }}
),

flows as (
    select
        as_of_date,
        period_code,
        branch_id,
        product_code,
        segment_code,
        province,
        bucket_code,
        opening_balance_amount,
        loan_count,
        case when direction_code = 'next_worse' then opening_balance_amount else 0 end as next_worse_amount,
        case when direction_code in ('next_worse', 'worse', 'written_off') then opening_balance_amount else 0 end as worse_amount,
        case when direction_code in ('next_worse', 'worse', 'written_off') then loan_count else 0 end as worse_count
    from cells
),

flow_rows as (
    {{ kpi_grain_rows(
        'flows',
        [
            ['K13', 'next_worse_amount', 'opening_balance_amount'],
            ['K13_ANY_WORSE', 'worse_amount', 'opening_balance_amount'],
            ['K13_ANY_WORSE_COUNT', 'worse_count', 'loan_count'],
        ],
        ['total', 'bucket', 'branch', 'product', 'segment', 'branch_product', 'province'],
    ) }}
)

select * from matrix
union all
select * from flow_rows
