{{ config(materialized='incremental', incremental_strategy='replace', meta={'replaced':
    "replaced.loan_id in (select loan_id from intermediate.int_changes__loans)"
}) }}

-- Net payments and dues laid along one axis, money: a payment reaches from what had been paid before it to what has been
-- paid with it, an instalment from the dues before it to the dues with it. What both share, the payment paid. A reversal
-- reaches backwards: it takes away what lies at the end, so a match of an earlier payment never changes afterwards.
with reaches as (
    select *
    from {{ ref('int_payments__reaches') }}
    {{ changed_rows('loan_id') }}
),

-- One sort says how many instalments end at or below each end of a reach.
positions as (
    select
        loan_id,
        cumulative_due_amount as position_amount,
        1 as is_installment,
        cast(null as text) as payment_id,
        cast(null as bigint) as end_no
    from {{ ref('int_installments__scheduled') }}
    where loan_id in (select loan_id from reaches)

    union all

    select loan_id, low_amount, 0, payment_id, 0 from reaches

    union all

    select loan_id, high_amount, 0, payment_id, 1 from reaches
),

counted as (
    select
        payment_id,
        end_no,
        is_installment,
        sum(is_installment) over (
            partition by loan_id
            order by position_amount
            range between unbounded preceding and current row
        ) as ended_count
    from positions
),

-- The first instalment reached is the one after those that end at the low end; the last one holds the high end.
touched as (
    select
        payment_id,
        min(case when end_no = 0 then ended_count end) + 1 as first_rank,
        max(case when end_no = 1 then ended_count end) + 1 as last_rank
    from counted
    where is_installment = 0
    group by payment_id
),

matched as (
    select
        reaches.payment_id,
        reaches.loan_id,
        reaches.paid_date,
        installments.installment_no,
        installments.due_date,
        reaches.direction * greatest(
            least(reaches.high_amount, installments.cumulative_due_amount)
            - greatest(reaches.low_amount, installments.cumulative_due_amount - installments.due_amount),
            0
        ) as matched_amount
    from reaches
    inner join touched on reaches.payment_id = touched.payment_id
    inner join {{ ref('int_installments__scheduled') }} as installments
        on reaches.loan_id = installments.loan_id
        and installments.installment_rank between touched.first_rank and touched.last_rank
)

select
    payment_id,
    loan_id,
    installment_no,
    paid_date,
    due_date,
    {{ money('matched_amount') }} as matched_amount
from matched
where matched_amount <> 0
