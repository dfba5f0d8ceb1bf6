{{ config(schema='intermediate', contract={'enforced': false}) }}

with run as (
    select * from {{ source('control', 'run_parameters') }}
),

interaction_versions as (
    {{ changed_versions('interactions', ['interaction_id'], ['customer_id', 'occurred_at']) }}
),

promise_versions as (
    {{ changed_versions('promises', ['promise_id'], ['interaction_id']) }}
),

message_versions as (
    {{ changed_versions('message_events', ['message_event_id'], ['interaction_id']) }}
),

named as (
    select interaction_id
    from {{ ref('int_changes__interactions') }}

    union

    select interaction_id
    from promise_versions
    where interaction_id is not null

    union

    select promises.interaction_id
    from {{ ref('stg_core__promises') }} as promises
    inner join {{ ref('int_changes__promises') }} as changes on promises.promise_id = changes.promise_id
    where promises.interaction_id is not null
),

-- The member and the moment of what filled lists said of them, now and before.
listed as (
    select
        customer_id,
        occurred_at
    from interaction_versions
    where {{ is_from_list('interaction_id') }}

    union

    select
        interactions.customer_id,
        interactions.occurred_at
    from {{ ref('stg_core__interactions') }} as interactions
    inner join named on interactions.interaction_id = named.interaction_id
    where {{ is_from_list('interactions.interaction_id') }}
)

select interaction_id from named

union

-- The promise of a filled list is counted with the contact of the core that stays in the list's place, and the promise
-- names the list's. When the list says something else, another contact of the core stays, or the core tells the promise
-- too, a contact gains or loses it that did not change itself. Which one had it before is not known any more: all contacts
-- of the member on that day are told anew, as both are among them whatever else changed.
select interactions.interaction_id
from {{ ref('stg_core__interactions') }} as interactions
inner join listed
    on interactions.customer_id = listed.customer_id
    and {{ local_date('interactions.occurred_at') }} = {{ local_date('listed.occurred_at') }}

union

select interaction_id
from message_versions
where interaction_id is not null

union

select events.interaction_id
from {{ ref('stg_core__message_events') }} as events
cross join run
where {{ fell_into_the_run('events.occurred_at') }}
