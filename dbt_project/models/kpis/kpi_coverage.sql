{{ config(
    materialized='incremental',
    incremental_strategy='replace',
    meta={'replaced': kpi_period_replaced('kpi_period_openings')},
) }}

-- A person counts once in a period, however many days, loans or contacts it had: so the sums of periods are not sums of days.
-- To be worked are the members who were past due when the period began; each stands where their worst loan stands.
with periods as (
    {{ kpi_changed_openings() }}
),

ranked as (
    select
        loans.as_of_date as opening_date,
        loans.customer_id,
        loans.branch_id,
        loans.product_code,
        loans.segment_code,
        row_number() over (
            partition by loans.as_of_date, loans.customer_id
            order by loans.past_due_days desc nulls last, loans.arrears_amount desc nulls last, loans.loan_id
        ) as loan_rank
    from {{ ref('fct_loan_as_of') }} as loans
    where
        loans.loan_status_code = 'active'
        and loans.past_due_days > 0
        and loans.as_of_date in (select opening_date from periods)
),

worked as (
    select
        days.period_code,
        days.as_of_date,
        interactions.customer_id,
        count(*) as attempt_count,
        max(case when interactions.is_contact then 1 else 0 end) as was_contacted,
        max(case when interactions.is_right_party then 1 else 0 end) as was_right_party
    from {{ ref('fct_interactions') }} as interactions
    inner join {{ ref('kpi_period_days') }} as days on interactions.occurred_date = days.activity_date
    inner join {{ ref('int_changes__periods') }} as changed
        on days.period_code = changed.period_code
        and days.as_of_date = changed.as_of_date
    where interactions.is_attempt
    group by days.period_code, days.as_of_date, interactions.customer_id
)

select
    periods.period_code,
    periods.as_of_date,
    ranked.branch_id,
    ranked.product_code,
    ranked.segment_code,
    count(*) as workable_person_count,
    count(worked.customer_id) as attempted_person_count,
    cast(coalesce(sum(worked.was_contacted), 0) as bigint) as contacted_person_count,
    cast(coalesce(sum(worked.was_right_party), 0) as bigint) as right_party_person_count,
    cast(coalesce(sum(worked.attempt_count), 0) as bigint) as workable_attempt_count
from periods
inner join ranked on periods.opening_date = ranked.opening_date and ranked.loan_rank = 1
left join worked
    on periods.period_code = worked.period_code
    and periods.as_of_date = worked.as_of_date
    and ranked.customer_id = worked.customer_id
group by periods.period_code, periods.as_of_date, ranked.branch_id, ranked.product_code, ranked.segment_code
