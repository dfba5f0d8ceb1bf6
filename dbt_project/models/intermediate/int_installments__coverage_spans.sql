-- When each instalment was covered, as known on every day: one span for all time unless a reversal opened it again.
-- Instalments and days with payments are laid along one axis, the number of covered instalments: an instalment is covered
-- from the first day whose count reaches it, and stays so unless a later day falls short of it.
with states as (
    select
        loan_id,
        state_no,
        valid_from_date,
        covered_installment_count
    from {{ ref('int_payments__allocated') }}
),

reach as (
    select
        loan_id,
        max(covered_installment_count) as most_covered_count
    from states
    group by loan_id
),

-- Neither due nor ever covered: nothing to say.
installments as (
    select
        installments.loan_id,
        installments.installment_no,
        installments.installment_rank,
        installments.due_date,
        installments.due_amount
    from {{ ref('int_installments__scheduled') }} as installments
    inner join reach on installments.loan_id = reach.loan_id
    cross join {{ source('control', 'run_parameters') }} as run
    where installments.due_date <= run.as_of_date or installments.installment_rank <= reach.most_covered_count
),

positions as (
    select
        loan_id,
        installment_rank as position_count,
        0 as kind,
        cast(null as bigint) as state_no,
        installment_rank
    from installments

    union all

    select loan_id, covered_installment_count, 1, state_no, null from states
),

crossed as (
    select
        loan_id,
        installment_rank,
        count(state_no) over so_far as short_state_count,
        max(state_no) over so_far as last_short_state_no
    from positions
    window so_far as (
        partition by loan_id
        order by position_count, kind
        rows between unbounded preceding and current row
    )
),

-- States are numbered from 0 in time. As long as all the short ones come first, the next one covers for good.
dated as (
    select
        installments.loan_id,
        installments.installment_no,
        installments.installment_rank,
        installments.due_date,
        installments.due_amount,
        states.valid_from_date as first_covered_date,
        crossed.last_short_state_no >= crossed.short_state_count as is_reopened
    from installments
    inner join crossed
        on installments.loan_id = crossed.loan_id
        and installments.installment_rank = crossed.installment_rank
    left join states
        on crossed.loan_id = states.loan_id
        and crossed.short_state_count = states.state_no
),

-- Few: only what a reversal opened again is followed day by day.
reopened as (
    select
        dated.loan_id,
        dated.installment_rank,
        states.state_no,
        states.valid_from_date,
        states.covered_installment_count >= dated.installment_rank as is_covered
    from dated
    inner join states on dated.loan_id = states.loan_id
    where dated.is_reopened
),

stepped as (
    select
        reopened.*,
        lead(valid_from_date) over in_time as valid_to_date,
        coalesce(lag(is_covered) over in_time, false) as was_covered
    from reopened
    window in_time as (
        partition by loan_id, installment_rank
        order by state_no
    )
),

followed as (
    select
        stepped.*,
        max(case when is_covered and not was_covered then valid_from_date end) over (
            partition by loan_id, installment_rank
            order by state_no
            rows between unbounded preceding and current row
        ) as covered_date
    from stepped
)

select
    loan_id,
    installment_no,
    installment_rank,
    due_date,
    due_amount,
    cast('1900-01-01' as date) as valid_from_date,
    cast('9999-12-31' as date) as valid_to_date,
    -- Nothing was due: covered before the first payment, on its own day.
    case when first_covered_date = cast('1900-01-01' as date) then due_date else first_covered_date end as covered_date
from dated
where not coalesce(is_reopened, false)

union all

select
    dated.loan_id,
    dated.installment_no,
    dated.installment_rank,
    dated.due_date,
    dated.due_amount,
    followed.valid_from_date,
    coalesce(followed.valid_to_date, cast('9999-12-31' as date)) as valid_to_date,
    case when followed.is_covered then followed.covered_date end as covered_date
from dated
inner join followed
    on dated.loan_id = followed.loan_id
    and dated.installment_rank = followed.installment_rank
where dated.is_reopened
