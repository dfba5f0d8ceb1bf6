with run as (
    select * from {{ source('control', 'run_parameters') }}
),

promise_versions as (
    {{ changed_versions('promises', ['promise_id'], ['loan_id']) }}
),

interaction_versions as (
    {{ changed_versions('interactions', ['interaction_id'], []) }}
),

promises as (
    select
        promise_id,
        interaction_id,
        loan_id,
        made_at,
        {{ local_date('made_at') }} as made_date,
        {{ add_days('due_date', var('promise_grace_days')) }} as grace_end_date
    from {{ ref('stg_core__promises') }}
)

select promise_id from promise_versions

union

select promises.promise_id
from promises
cross join run
where
    run.is_full_build
    or ({{ fell_into_the_run('promises.made_at') }})
    -- The last day of grace has passed since: what was open is kept or broken.
    or (promises.grace_end_date >= run.built_as_of_date and promises.grace_end_date < run.as_of_date)
    or promises.interaction_id in (select interaction_id from interaction_versions)
    -- Whether the core tells a promise of a list too, and its contact.
    or (
        {{ is_from_list('promises.promise_id') }}
        and (
            promises.loan_id in (select loan_id from promise_versions where loan_id is not null)
            or promises.interaction_id in (select interaction_id from {{ ref('int_changes__interactions') }})
        )
    )

union

-- Payments count up to the last day of grace; the state of the loan is the one of the day before.
select promises.promise_id
from promises
inner join {{ ref('int_changes__loans') }} as changes
    on promises.loan_id = changes.loan_id
    and (promises.grace_end_date >= changes.from_date or promises.made_date > changes.from_date)
cross join run
where not run.is_full_build
