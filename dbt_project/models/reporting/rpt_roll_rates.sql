-- Where the loans of each bucket are one period later. Everything that was active at from_date is somewhere: in a bucket,
-- paid off, written off, or missing from the book, so the states of a bucket add up to it.
with periods as (
    select
        period_code,
        opening_date as from_date,
        as_of_date
    from {{ ref('kpi_periods') }}
    where period_code in ('month', 'week')
),

rolled as (
    select
        periods.period_code,
        periods.from_date,
        periods.as_of_date,
        opening.branch_id,
        opening.product_code,
        opening.segment_code,
        opening.bucket_code as from_bucket_code,
        case
            when closing.loan_id is null then 'missing'
            when closing.loan_status_code = 'closed' then 'paid_off'
            when closing.loan_status_code = 'written_off' then 'written_off'
            else closing.bucket_code
        end as to_state_code,
        opening.outstanding_principal_amount
    from periods
    inner join {{ ref('fct_loan_as_of') }} as opening
        on periods.from_date = opening.as_of_date
        and opening.loan_status_code = 'active'
    left join {{ ref('fct_loan_as_of') }} as closing
        on periods.as_of_date = closing.as_of_date
        and opening.loan_id = closing.loan_id
),

cells as (
    select
        period_code,
        from_date,
        as_of_date,
        branch_id,
        product_code,
        segment_code,
        from_bucket_code,
        to_state_code,
        count(*) as loan_count,
        sum(outstanding_principal_amount) as opening_balance_amount
    from rolled
    group by period_code, from_date, as_of_date, branch_id, product_code, segment_code, from_bucket_code, to_state_code
),

totalled as (
    select
        cells.*,
        sum(loan_count) over of_bucket as bucket_loan_count,
        sum(opening_balance_amount) over of_bucket as bucket_balance_amount
    from cells
    window of_bucket as (partition by period_code, as_of_date, branch_id, product_code, segment_code, from_bucket_code)
)

select
    totalled.period_code,
    totalled.from_date,
    totalled.as_of_date,
    totalled.branch_id,
    totalled.product_code,
    totalled.segment_code,
    totalled.from_bucket_code,
    totalled.to_state_code,
    -- A state that is no bucket has no place on the ladder.
    case
        when totalled.to_state_code in ('paid_off', 'written_off', 'missing') then totalled.to_state_code
        when to_buckets.bucket_rank < from_buckets.bucket_rank then 'better'
        when to_buckets.bucket_rank = from_buckets.bucket_rank then 'same'
        when to_buckets.bucket_rank = from_buckets.bucket_rank + 1 then 'next_worse'
        else 'worse'
    end as direction_code,
    cast(totalled.loan_count as bigint) as loan_count,
    cast(totalled.bucket_loan_count as bigint) as bucket_loan_count,
    {{ money('totalled.opening_balance_amount') }} as opening_balance_amount,
    {{ money('totalled.bucket_balance_amount') }} as bucket_balance_amount,
    {{ ratio('totalled.opening_balance_amount', 'totalled.bucket_balance_amount') }} as balance_rate,
    {{ ratio('totalled.loan_count', 'totalled.bucket_loan_count') }} as count_rate
from totalled
inner join {{ ref('dpd_buckets') }} as from_buckets on totalled.from_bucket_code = from_buckets.bucket_code
left join {{ ref('dpd_buckets') }} as to_buckets on totalled.to_state_code = to_buckets.bucket_code
