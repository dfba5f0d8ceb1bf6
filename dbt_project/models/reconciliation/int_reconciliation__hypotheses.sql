{{ config(schema='intermediate', materialized='table') }}

-- For every loan that differs, what the core could have taken for paid, and under which schedule: each with the figures
-- that it gives. A cause is found when they are the core's.
with cases as (
    select
        loan_id,
        as_of_date,
        paid_amount
    from {{ ref('int_reconciliation__pairs') }}
    where is_ours and is_compared and not is_reconciled and loan_status_code <> 'closed'
),

payments as (
    select
        payments.loan_id,
        payments.payment_id,
        payments.paid_date,
        payments.payment_amount,
        payments.is_reversal,
        cases.as_of_date,
        cases.paid_amount
    from {{ ref('int_payments__signed') }} as payments
    inner join cases on payments.loan_id = cases.loan_id
    cross join {{ source('control', 'run_parameters') }} as run
    where payments.paid_date <= run.as_of_date
),

-- Net payments between the day of the balances and another one, from either side of it.
payment_days as (
    select
        loan_id,
        paid_date,
        as_of_date,
        paid_amount,
        case
            when paid_date <= as_of_date then sum(day_amount) over (
                partition by loan_id, paid_date <= as_of_date
                order by paid_date desc nulls last
                rows between unbounded preceding and current row
            )
            else sum(day_amount) over (
                partition by loan_id, paid_date <= as_of_date
                order by paid_date
                rows between unbounded preceding and current row
            )
        end as net_amount
    from (
        select
            loan_id,
            paid_date,
            as_of_date,
            paid_amount,
            sum(payment_amount) as day_amount
        from payments
        where paid_date > {{ add_days('as_of_date', -31) }} and paid_date <= {{ add_days('as_of_date', 7) }}
        group by loan_id, paid_date, as_of_date, paid_amount
    ) as days
),

rejected as (
    select
        rejected.loan_id,
        rejected.payment_id,
        rejected.payment_amount
    from {{ ref('int_payments__rejected') }} as rejected
    inner join cases on rejected.loan_id = cases.loan_id
    where rejected.payment_amount is not null and coalesce(rejected.paid_date, cases.as_of_date) <= cases.as_of_date
),

assumed as (
    -- Ours, for the readings of the due day.
    select
        loan_id,
        'off_by_one' as cause_code,
        cast(null as text) as evidence,
        paid_amount,
        cast(0 as bigint) as schedule_no
    from cases

    union all

    -- The core had not booked one of our payments.
    select
        loan_id,
        'missing_payment',
        'core_lacks:' || payment_id,
        paid_amount - payment_amount,
        0
    from payments
    where
        not is_reversal
        and paid_date <= as_of_date
        and paid_date > {{ add_days('as_of_date', -31) }}

    union all

    -- The core had closed its books some days earlier, or counts what was paid after the day. Reversals alone are below.
    select
        loan_id,
        'missing_payment',
        case when paid_date <= as_of_date then 'core_lacks_from:' else 'core_has_until:' end || cast(paid_date as text),
        case when paid_date <= as_of_date then paid_amount - net_amount else paid_amount + net_amount end,
        0
    from payment_days
    where net_amount > 0

    union all

    -- The door turned a payment away.
    select
        cases.loan_id,
        'missing_payment',
        'rejected:' || rejected.payment_id,
        cases.paid_amount + rejected.payment_amount,
        0
    from cases
    inner join rejected on cases.loan_id = rejected.loan_id

    union all

    select
        cases.loan_id,
        'missing_payment',
        'rejected:*',
        cases.paid_amount + sum(rejected.payment_amount),
        0
    from cases
    inner join rejected on cases.loan_id = rejected.loan_id
    group by cases.loan_id, cases.paid_amount
    having count(*) > 1

    union all

    -- A reversal that only one side applied.
    select
        loan_id,
        'reversal',
        'core_lacks:' || payment_id,
        paid_amount - payment_amount,
        0
    from payments
    where is_reversal and paid_date <= as_of_date

    union all

    select
        loan_id,
        'reversal',
        'core_has:' || payment_id,
        paid_amount + payment_amount,
        0
    from payments
    where is_reversal and paid_date > as_of_date

    union all

    -- An earlier version of the schedule.
    select
        cases.loan_id,
        'schedule_version',
        'load:' || cast(versions.schedule_no as text),
        cases.paid_amount,
        versions.schedule_no
    from cases
    inner join (
        select distinct loan_id, schedule_no
        from {{ ref('int_reconciliation__schedules') }}
        where schedule_no > 0
    ) as versions on cases.loan_id = versions.loan_id
),

assumptions as (
    select
        assumed.loan_id,
        cases.as_of_date,
        assumed.cause_code,
        assumed.evidence,
        assumed.schedule_no,
        greatest(assumed.paid_amount, 0) as money_amount
    from assumed
    inner join cases on assumed.loan_id = cases.loan_id
),

reached as (
    select
        assumptions.*,
        schedules.due_date,
        schedules.due_amount,
        schedules.principal_due_amount,
        schedules.cumulative_due_amount > assumptions.money_amount + {{ tolerance() }} as is_open,
        {{ allocated_component(
            'greatest(assumptions.money_amount - (schedules.cumulative_due_amount - schedules.due_amount), 0)',
            'principal',
            'schedules',
        ) }} as paid_principal_amount
    from assumptions
    inner join {{ ref('int_reconciliation__schedules') }} as schedules
        on assumptions.loan_id = schedules.loan_id
        and assumptions.schedule_no = schedules.schedule_no
),

summed as (
    select
        loan_id,
        as_of_date,
        cause_code,
        evidence,
        schedule_no,
        money_amount,
        sum(principal_due_amount - paid_principal_amount) as outstanding_principal_amount,
        coalesce(sum(case when due_date < as_of_date then due_amount end), 0) - money_amount as short_before_day_amount,
        coalesce(sum(case when due_date <= as_of_date then due_amount end), 0) - money_amount as short_through_day_amount,
        min(case when is_open then due_date end) as oldest_uncovered_due_date
    from reached
    group by loan_id, as_of_date, cause_code, evidence, schedule_no, money_amount
)

select
    loan_id,
    cause_code,
    evidence,
    {{ money('outstanding_principal_amount') }} as outstanding_principal_amount,
    {{ money('case when short_before_day_amount > ' ~ tolerance() ~ ' then short_before_day_amount else 0 end') }}
        as arrears_before_day_amount,
    {{ money('case when short_through_day_amount > ' ~ tolerance() ~ ' then short_through_day_amount else 0 end') }}
        as arrears_through_day_amount,
    {{ past_due_days('oldest_uncovered_due_date', 'as_of_date') }} as past_due_days
from summed
