{{ config(tags=['training']) }}

-- The fate of a promise is settled once its last grace day has passed; the payments of the run's own date are not complete.
select
    promises.promise_id,
    promises.customer_id,
    promises.made_date,
    promises.grace_end_date,
    promises.promise_status_code = 'kept' as is_kept
from {{ ref('fct_promises') }} as promises
cross join {{ source('control', 'run_parameters') }} as run
where
    promises.grace_end_date < run.as_of_date
    and {{ is_sampled('promises.customer_id', 'run.sample_below') }}
