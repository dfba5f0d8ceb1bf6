{{ config(schema='intermediate', contract={'enforced': false}) }}

with run as (
    select * from {{ source('control', 'run_parameters') }}
),

promise_versions as (
    {{ changed_versions('promises', ['promise_id'], ['interaction_id']) }}
),

message_versions as (
    {{ changed_versions('message_events', ['message_event_id'], ['interaction_id']) }}
)

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

union

select interaction_id
from message_versions
where interaction_id is not null

union

select events.interaction_id
from {{ ref('stg_core__message_events') }} as events
cross join run
where {{ fell_into_the_run('events.occurred_at') }}
