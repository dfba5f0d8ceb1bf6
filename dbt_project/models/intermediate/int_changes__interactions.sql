with run as (
    select * from {{ source('control', 'run_parameters') }}
),

interaction_versions as (
    {{ changed_versions('interactions', ['interaction_id'], ['customer_id']) }}
),

customer_versions as (
    {{ changed_versions('customers', ['customer_id'], ['branch_id']) }}
),

loan_versions as (
    {{ changed_versions('loans', ['loan_id'], ['customer_id']) }}
),

customers as (
    select customer_versions.customer_id
    from customer_versions
    cross join run
    group by customer_versions.customer_id
    having
        min(coalesce(customer_versions.branch_id, '')) <> max(coalesce(customer_versions.branch_id, ''))
        or max(case when customer_versions._is_deleted then 1 else 0 end) = 1
        or min(case when customer_versions._load_id <= run.built_load_id then 0 else 1 end) = 1
),

-- Owners of the changed loans, now and before.
owners as (
    select
        changes.loan_id,
        loans.customer_id,
        changes.from_date
    from {{ ref('int_changes__loans') }} as changes
    inner join {{ ref('stg_core__loans') }} as loans on changes.loan_id = loans.loan_id

    union

    select
        changes.loan_id,
        loan_versions.customer_id,
        changes.from_date
    from {{ ref('int_changes__loans') }} as changes
    inner join loan_versions on changes.loan_id = loan_versions.loan_id
),

members as (
    select
        customer_id,
        min(from_date) as from_date
    from owners
    where customer_id is not null
    group by customer_id
)

select interactions.interaction_id
from {{ ref('stg_core__interactions') }} as interactions
cross join run
where run.is_full_build

union

select interaction_id from interaction_versions

union

-- Whether the core tells a contact of a list too depends on the other contacts of the member.
select interactions.interaction_id
from {{ ref('stg_core__interactions') }} as interactions
inner join interaction_versions on interactions.customer_id = interaction_versions.customer_id
where {{ is_from_list('interactions.interaction_id') }}

union

select interactions.interaction_id
from {{ ref('stg_core__interactions') }} as interactions
cross join run
where {{ fell_into_the_run('interactions.occurred_at') }}

union

-- A contact is told with the state of the day before.
select interactions.interaction_id
from {{ ref('stg_core__interactions') }} as interactions
inner join {{ ref('int_changes__loans') }} as changes on interactions.loan_id = changes.loan_id
cross join run
where not run.is_full_build and interactions.occurred_at > changes.from_date

union

select interactions.interaction_id
from {{ ref('stg_core__interactions') }} as interactions
inner join members on interactions.customer_id = members.customer_id
cross join run
where not run.is_full_build and interactions.loan_id is null and interactions.occurred_at > members.from_date

union

select interactions.interaction_id
from {{ ref('stg_core__interactions') }} as interactions
inner join customers on interactions.customer_id = customers.customer_id
