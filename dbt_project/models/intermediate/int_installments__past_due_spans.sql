{{ config(materialized='incremental', incremental_strategy='replace', meta={'replaced':
    "replaced.loan_id in (select loan_id from intermediate.int_changes__loan_states)"
}) }}

-- When each instalment stood open after its due date, by the end of the day. It knows no business date: money that came
-- after a date closes a span after it, and readers compare. What is closed owes nothing; what is written off goes on.

with open_spans as (
    {{ open_spans(['loan_id', 'installment_rank', 'due_date', 'due_amount']) }}
),

dated as (
    select
        open_spans.loan_id,
        open_spans.installment_rank,
        open_spans.due_date,
        greatest(
            open_spans.open_from_date,
            {{ add_days('open_spans.due_date', 1 - past_due_shift()) }}
        ) as past_due_from_date,
        least(open_spans.open_to_date, lifespans.closed_date) as past_due_to_date
    from open_spans
    inner join {{ ref('int_loans__lifespans') }} as lifespans on open_spans.loan_id = lifespans.loan_id
    where open_spans.due_amount > 0
)

select
    loan_id,
    installment_rank,
    due_date,
    past_due_from_date,
    past_due_to_date
from dated
where past_due_from_date < past_due_to_date
