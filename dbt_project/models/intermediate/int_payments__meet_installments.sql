{{ config(materialized='incremental', incremental_strategy='replace', meta={'replaced':
    "replaced.loan_id in (select loan_id from intermediate.int_changes__loan_states)"
}) }}

-- Dues and payments laid along one axis, money: an instalment stands at the cumulative due that covers it, a state of the
-- loan at what had been paid by then, tolerance included. Instalments before a state are the ones that it covers; states
-- before an instalment are the ones in which it is open. One sort answers both.
with states as (
    select
        loan_id,
        state_no,
        greatest(paid_amount, 0) + {{ tolerance() }} as reach_amount
    from {{ ref('int_payments__by_state') }}
    {{ changed_rows('loan_id', 'int_changes__loan_states') }}
),

furthest as (
    select
        loan_id,
        max(reach_amount) as reach_amount
    from states
    group by loan_id
),

positions as (
    -- Neither due nor ever reached: nothing to say.
    select
        installments.loan_id,
        installments.cumulative_due_amount as position_amount,
        installments.installment_rank,
        cast(null as bigint) as state_no
    from {{ ref('int_installments__scheduled') }} as installments
    inner join furthest on installments.loan_id = furthest.loan_id
    cross join {{ source('control', 'run_parameters') }} as run
    where
        installments.cumulative_due_amount <= furthest.reach_amount
        or installments.due_date <= run.as_of_date

    union all

    select loan_id, reach_amount, null, state_no from states
)

select
    loan_id,
    installment_rank,
    state_no,
    count(installment_rank) over so_far as covered_installment_count,
    count(state_no) over so_far as short_state_count,
    max(state_no) over so_far as last_short_state_no
from positions
window so_far as (
    partition by loan_id
    -- At the same place the instalments come first: what a state just reaches, it covers.
    order by position_amount, coalesce(state_no, installment_rank - 1000000000)
    rows between unbounded preceding and current row
)
