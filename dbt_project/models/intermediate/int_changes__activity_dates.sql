with run as (
    select * from {{ source('control', 'run_parameters') }}
),

payment_versions as (
    {{ changed_versions('payments', ['payment_id'], ['paid_at']) }}
),

interaction_versions as (
    {{ changed_versions('interactions', ['interaction_id'], ['occurred_at']) }}
),

promise_versions as (
    {{ changed_versions('promises', ['promise_id'], ['made_at', 'due_on']) }}
),

message_versions as (
    {{ changed_versions('message_events', ['message_event_id'], ['interaction_id', 'at']) }}
),

installment_versions as (
    {{ changed_versions('installments', ['loan_id', 'installment_no'], ['due_on']) }}
),

loan_versions as (
    {{ changed_versions('loans', ['loan_id'], ['written_off_on', 'closed_on', 'restructured_on', 'disbursed_on']) }}
),

loans as (
    {% for column in ['disbursed_on', 'restructured_on', 'closed_on', 'written_off_on'] -%}
    select loan_id, {{ column }} as event_date from loan_versions
    union all
    {% endfor -%}
    {% for column in ['disbursed_date', 'restructured_date', 'closed_date', 'written_off_date'] -%}
    select loan_id, {{ column }} from {{ ref('int_loans__lifespans') }}
    {% if not loop.last %}union all{% endif %}
    {% endfor -%}
),

promises as (
    select
        made_at,
        due_date,
        {{ add_days('due_date', var('promise_grace_days')) }} as grace_end_date
    from {{ ref('stg_core__promises') }} as promises
    inner join {{ ref('int_changes__promises') }} as changes on promises.promise_id = changes.promise_id
),

interactions as (
    select interactions.occurred_at
    from {{ ref('stg_core__interactions') }} as interactions
    inner join {{ ref('int_changes__interactions') }} as changes on interactions.interaction_id = changes.interaction_id
),

messages as (
    select events.occurred_at
    from {{ ref('stg_core__message_events') }} as events
    cross join run
    where run.is_full_build or ({{ fell_into_the_run('events.occurred_at') }})

    union all

    -- A receipt is told with its interaction.
    select events.occurred_at
    from {{ ref('stg_core__message_events') }} as events
    inner join {{ ref('int_changes__interactions') }} as changes on events.interaction_id = changes.interaction_id
    cross join run
    where not run.is_full_build
),

-- A receipt without a time counts on the day of its message.
timeless as (
    select interactions.occurred_at
    from message_versions
    inner join {{ ref('stg_core__interactions') }} as interactions
        on message_versions.interaction_id = interactions.interaction_id
    where message_versions.at is null
),

moments as (
    select paid_at as happened_at from payment_versions
    union all
    select occurred_at from interaction_versions
    union all
    select made_at from promise_versions
    union all
    select message_versions.at from message_versions
    union all
    select made_at from promises
    union all
    select occurred_at from interactions
    union all
    select occurred_at from messages
    union all
    select occurred_at from timeless
),

-- A changed loan's payments. A loan that is gone took them out of the table of the others; they stay in staging.
payments as (
    select
        payments.paid_date,
        changes.from_date
    from {{ ref('int_payments__signed') }} as payments
    inner join {{ ref('int_changes__loans') }} as changes on payments.loan_id = changes.loan_id

    union all

    select
        {{ local_date('payments.paid_at') }} as paid_date,
        changes.from_date
    from {{ ref('stg_core__payments') }} as payments
    inner join {{ ref('int_changes__loans') }} as changes on payments.loan_id = changes.loan_id
    left join {{ ref('stg_core__loans') }} as loans on changes.loan_id = loans.loan_id
    where loans.loan_id is null
),

days as (
    select {{ local_date('happened_at') }} as activity_date from moments

    union

    -- What a changed loan paid or owes from the first day that may differ on.
    select paid_date
    from payments
    where paid_date >= from_date

    union

    select installments.due_date
    from {{ ref('int_installments__scheduled') }} as installments
    inner join {{ ref('int_changes__loans') }} as changes
        on installments.loan_id = changes.loan_id
        and installments.due_date >= changes.from_date

    union

    select due_on from installment_versions
    union
    select due_on from promise_versions
    union
    select due_date from promises
    union
    select grace_end_date from promises
    union
    select loans.event_date
    from loans
    inner join {{ ref('int_changes__loans') }} as changes
        on loans.loan_id = changes.loan_id
        and loans.event_date >= changes.from_date

    union

    -- Nothing may have happened since, and still the calendar has gone on.
    select run.as_of_date from run

    union

    select installments.due_date
    from {{ ref('int_installments__scheduled') }} as installments
    cross join run
    where installments.due_date > run.built_as_of_date and installments.due_date <= run.as_of_date
)

select days.activity_date
from days
cross join run
where days.activity_date >= run.history_start_date and days.activity_date <= run.as_of_date
