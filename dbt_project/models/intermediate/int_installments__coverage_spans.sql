{{ config(materialized='incremental', incremental_strategy='replace', meta={'replaced':
    "replaced.loan_id in (select loan_id from intermediate.int_changes__loan_states)"
}) }}

-- When each instalment that is due or paid was covered, as known on every day: one span for all time unless a reversal
-- opened it again.
with states as (
    select
        loan_id,
        state_no,
        valid_from_date,
        covered_installment_count
    from {{ ref('int_payments__allocated') }}
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
        coalesce(met.last_short_state_no >= met.short_state_count, false) as is_reopened
    from {{ ref('int_payments__meet_installments') }} as met
    inner join {{ ref('int_installments__scheduled') }} as installments
        on met.loan_id = installments.loan_id
        and met.installment_rank = installments.installment_rank
    left join states
        on met.loan_id = states.loan_id
        and met.short_state_count = states.state_no
    {{ changed_rows('met.loan_id', 'int_changes__loan_states') }}
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
where not is_reopened

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
