with known as (
    select progress.*, run.as_of_date
    from {{ ref('int_promises__progress') }} as progress
    cross join {{ source('control', 'run_parameters') }} as run
    where progress.valid_from_date <= run.as_of_date and progress.valid_to_date > run.as_of_date
)

select
    known.promise_id,
    known.interaction_id,
    known.loan_id,
    known.customer_id,
    known.made_at,
    known.made_date,
    known.due_date,
    known.promised_amount,
    known.paid_amount,
    {{ promise_status('known', 'known.as_of_date') }} as promise_status_code,
    interactions.collector_id
from known
left join {{ ref('fct_interactions') }} as interactions on known.interaction_id = interactions.interaction_id
