{{ config(materialized='view') }}

-- Promises made up to the run's date, with the days between which payments count towards them.
select
    promises.promise_id,
    promises.interaction_id,
    promises.loan_id,
    loans.customer_id,
    promises.made_at,
    {{ local_date('promises.made_at') }} as made_date,
    promises.due_date,
    {{ add_days('promises.due_date', var('promise_grace_days')) }} as grace_end_date,
    {{ money('promises.promised_amount') }} as promised_amount
from {{ ref('stg_core__promises') }} as promises
inner join {{ ref('stg_core__loans') }} as loans on promises.loan_id = loans.loan_id
cross join {{ source('control', 'run_parameters') }} as run
where {{ local_date('promises.made_at') }} <= run.as_of_date
