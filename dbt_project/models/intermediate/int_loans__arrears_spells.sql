{{ config(materialized='incremental', incremental_strategy='replace', meta={'replaced':
    "replaced.loan_id in (select loan_id from intermediate.int_changes__loan_states)"
}) }}

-- The instalments' open times laid together: a spell begins on the first day with past-due days and ends on the first day
-- without any. A write-off ends it whatever is owed; a restructuring inside it takes its natural course away.

with ordered as (
    select
        loan_id,
        past_due_from_date,
        past_due_to_date,
        max(past_due_to_date) over (
            partition by loan_id
            order by past_due_from_date, installment_rank, past_due_to_date
            rows between unbounded preceding and 1 preceding
        ) as reached_date,
        row_number() over (
            partition by loan_id
            order by past_due_from_date, installment_rank, past_due_to_date
        ) as span_no
    from {{ ref('int_installments__past_due_spans') }}
    {{ changed_rows('loan_id', 'int_changes__loan_states') }}
),

numbered as (
    select
        ordered.*,
        sum(case when reached_date >= past_due_from_date then 0 else 1 end) over (
            partition by loan_id
            order by span_no
            rows between unbounded preceding and current row
        ) as spell_no
    from ordered
),

merged as (
    select
        loan_id,
        spell_no,
        min(past_due_from_date) as entered_date,
        max(past_due_to_date) as left_date
    from numbered
    group by loan_id, spell_no
),

limited as (
    select
        merged.loan_id,
        merged.entered_date,
        least(merged.left_date, lifespans.written_off_date) as left_date,
        case
            when lifespans.written_off_date <= merged.left_date then 'written_off'
            when lifespans.restructured_date between merged.entered_date and merged.left_date then 'restructured'
            when merged.left_date = cast('9999-12-31' as date) then 'open'
            when lifespans.closed_date = merged.left_date then 'paid_off'
            else 'cured'
        end as exit_code,
        lifespans.restructured_date
    from merged
    inner join {{ ref('int_loans__lifespans') }} as lifespans on merged.loan_id = lifespans.loan_id
    where lifespans.written_off_date is null or lifespans.written_off_date > merged.entered_date
)

select
    loan_id,
    cast(row_number() over in_time as bigint) as spell_no,
    entered_date,
    left_date,
    case when exit_code = 'restructured' then restructured_date else left_date end as observed_to_date,
    exit_code,
    exit_code in ('cured', 'paid_off') as is_cure,
    coalesce(lead(entered_date) over in_time, cast('9999-12-31' as date)) as next_entered_date
from limited
window in_time as (
    partition by loan_id
    order by entered_date
)
