{{ config(materialized='view') }}

-- Promises made up to the run's date, with the days between which payments count towards them. One of a filled work list
-- counts while its contact says so, and gives way to one that the core tells of the same loan and local day.
with told as (
    select distinct
        promises.loan_id,
        {{ local_date('promises.made_at') }} as made_date
    from {{ ref('stg_core__promises') }} as promises
    where
        not ({{ is_from_list('promises.promise_id') }})
        and promises.loan_id in (
            select loan_id from {{ ref('stg_core__promises') }} where {{ is_from_list('promise_id') }}
        )
)

select
    promises.promise_id,
    coalesce(repeated.kept_interaction_id, promises.interaction_id) as interaction_id,
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
left join {{ ref('stg_core__interactions') }} as interactions
    on promises.interaction_id = interactions.interaction_id
    and {{ is_from_list('promises.promise_id') }}
left join {{ ref('int_interactions__repeated') }} as repeated
    on interactions.interaction_id = repeated.interaction_id
left join told
    on promises.loan_id = told.loan_id
    and {{ local_date('promises.made_at') }} = told.made_date
    and {{ is_from_list('promises.promise_id') }}
where
    {{ local_date('promises.made_at') }} <= run.as_of_date
    and (
        not ({{ is_from_list('promises.promise_id') }})
        or (interactions.outcome_code = 'promise' and told.loan_id is null)
    )
