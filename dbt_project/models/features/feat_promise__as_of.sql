{#- A promise is looked at on the day it was made and on every third day after it while it is open. -#}
{% set look_every, look_up_to = 3, 30 %}

with looks as (
    {% for days in range(0, look_up_to + 1, look_every) -%}
    select cast({{ days }} as integer) as look_days
    {{ 'union all' if not loop.last }}
    {% endfor -%}
),

progress as (
    select
        progress.*,
        run.as_of_date as run_date,
        run.sample_below
    from {{ ref('int_promises__progress') }} as progress
    cross join {{ source('control', 'run_parameters') }} as run
),

-- Open at the end of the run's own date.
running as (
    select
        progress.*,
        progress.run_date as as_of_date,
        true as is_score
    from progress
    where
        progress.valid_from_date <= progress.run_date
        and progress.valid_to_date > progress.run_date
        and {{ promise_status('progress', 'progress.run_date') }} = 'open'
),

-- Of promises whose fate is known: open then, with at least one day left.
settled as (
    select
        progress.*,
        {{ add_days('progress.made_date', 'looks.look_days') }} as as_of_date,
        false as is_score
    from progress
    cross join looks
    where
        {{ is_sampled('progress.customer_id', 'progress.sample_below') }}
        and progress.grace_end_date < progress.run_date
        and {{ add_days('progress.made_date', 'looks.look_days') }} < progress.grace_end_date
        and progress.valid_from_date <= {{ add_days('progress.made_date', 'looks.look_days') }}
        and progress.valid_to_date > {{ add_days('progress.made_date', 'looks.look_days') }}
        and {{ promise_status('progress', add_days('progress.made_date', 'looks.look_days')) }} = 'open'
),

marks as (
    select * from running
    union all
    select * from settled
),

stated as (
    select
        marks.promise_id,
        marks.as_of_date,
        marks.loan_id,
        lifespans.product_code,
        {{ loan_status('lifespans', 'marks.as_of_date') }} <> 'closed' as is_owed,
        states.paid_amount,
        states.last_payment_date,
        states.oldest_uncovered_due_date
    from marks
    inner join {{ ref('int_loans__lifespans') }} as lifespans on marks.loan_id = lifespans.loan_id
    inner join {{ ref('int_payments__allocated') }} as states
        on marks.loan_id = states.loan_id
        and states.valid_from_date <= marks.as_of_date
        and states.valid_to_date > marks.as_of_date
),

-- The last instalment that fell due before the end of the date, and all that was due by then.
dues as (
    select
        stated.promise_id,
        stated.as_of_date,
        max(installments.installment_rank) as due_rank,
        max(installments.cumulative_due_amount) as scheduled_amount
    from stated
    inner join {{ ref('int_installments__scheduled') }} as installments
        on stated.loan_id = installments.loan_id
        and installments.due_date < {{ add_days('stated.as_of_date', past_due_shift()) }}
    group by stated.promise_id, stated.as_of_date
),

paid as (
    select
        marks.promise_id,
        marks.as_of_date,
        sum(case when payments.paid_date > {{ add_days('marks.as_of_date', -28) }} then payments.net_amount else 0 end)
            as paid_28d_amount,
        sum(payments.net_amount) as paid_91d_amount
    from marks
    inner join {{ ref('int_payments__accumulated') }} as payments
        on marks.loan_id = payments.loan_id
        and payments.paid_date <= marks.as_of_date
        and payments.paid_date > {{ add_days('marks.as_of_date', -91) }}
    group by marks.promise_id, marks.as_of_date
),

-- The member's other promises of the year, as their fate was known at the end of the date.
others as (
    select
        marks.promise_id,
        marks.as_of_date,
        {{ days_between('known.made_date', 'marks.as_of_date') }} as age_days,
        {{ promise_status('known', 'marks.as_of_date') }} as promise_status_code
    from marks
    inner join {{ ref('int_promises__progress') }} as known
        on marks.customer_id = known.customer_id
        and marks.promise_id <> known.promise_id
        and known.made_date > {{ add_days('marks.as_of_date', -364) }}
        and known.valid_from_date <= marks.as_of_date
        and known.valid_to_date > marks.as_of_date
),

history as (
    select
        promise_id,
        as_of_date,
        {{ promise_counts() }}
    from others
    group by promise_id, as_of_date
),

contacts as (
    select
        marks.promise_id,
        marks.as_of_date,
        count(*) as attempt_28d_count,
        count(case when interactions.is_right_party then 1 end) as right_party_28d_count
    from marks
    inner join {{ ref('fct_interactions') }} as interactions
        on marks.customer_id = interactions.customer_id
        and interactions.occurred_date <= marks.as_of_date
        and interactions.occurred_date > {{ add_days('marks.as_of_date', -28) }}
        and interactions.is_attempt
    group by marks.promise_id, marks.as_of_date
),

measured as (
    select
        marks.as_of_date,
        marks.promise_id,
        marks.customer_id,
        marks.loan_id,
        marks.is_score,
        stated.product_code,
        customers.province,
        customers.occupation,
        customers.is_urban,
        customers.monthly_income_amount,
        made.channel_code,
        marks.promised_amount,
        {{ ratio('marks.promised_amount - marks.paid_amount', 'marks.promised_amount') }} as missing_rate,
        {{ days_between('marks.made_date', 'marks.as_of_date') }} as days_since_made,
        {{ days_between('marks.as_of_date', 'marks.due_date') }} as days_to_due,
        {{ days_between('marks.as_of_date', 'marks.grace_end_date') }} as days_to_grace_end,
        case
            when stated.is_owed then {{ past_due_days('stated.oldest_uncovered_due_date', 'marks.as_of_date') }}
            else cast(0 as bigint)
        end as past_due_days,
        {{ money('case
            when stated.is_owed and dues.scheduled_amount - greatest(stated.paid_amount, 0) > ' ~ tolerance() ~ '
                then dues.scheduled_amount - greatest(stated.paid_amount, 0)
            else 0
        end') }} as arrears_amount,
        {{ money('coalesce(installments.due_amount, 0)') }} as installment_amount,
        {{ days_between('stated.last_payment_date', 'marks.as_of_date') }} as days_since_last_payment,
        coalesce(paid.paid_28d_amount, 0) as paid_28d_amount,
        coalesce(paid.paid_91d_amount, 0) as paid_91d_amount,
        coalesce(history.promise_182d_count, 0) as promise_count_182d,
        coalesce(history.broken_promise_182d_count, 0) as broken_promise_count_182d,
        coalesce(history.kept_promise_364d_count, 0) as kept_promise_count_364d,
        coalesce(history.settled_promise_364d_count, 0) as settled_promise_count_364d,
        coalesce(history.open_promise_count, 0) as open_promise_count,
        coalesce(contacts.attempt_28d_count, 0) as attempt_28d_count,
        coalesce(contacts.right_party_28d_count, 0) as right_party_28d_count,
        cast(extract(day from marks.due_date) as bigint) as due_day_of_month
    from marks
    inner join stated
        on marks.promise_id = stated.promise_id
        and marks.as_of_date = stated.as_of_date
    inner join {{ ref('dim_customers') }} as customers on marks.customer_id = customers.customer_id
    left join {{ ref('fct_interactions') }} as made on marks.interaction_id = made.interaction_id
    left join dues
        on marks.promise_id = dues.promise_id
        and marks.as_of_date = dues.as_of_date
    left join {{ ref('int_installments__scheduled') }} as installments
        on marks.loan_id = installments.loan_id
        and coalesce(dues.due_rank, 1) = installments.installment_rank
    left join paid
        on marks.promise_id = paid.promise_id
        and marks.as_of_date = paid.as_of_date
    left join history
        on marks.promise_id = history.promise_id
        and marks.as_of_date = history.as_of_date
    left join contacts
        on marks.promise_id = contacts.promise_id
        and marks.as_of_date = contacts.as_of_date
)

select
    as_of_date,
    promise_id,
    customer_id,
    loan_id,
    is_score,
    product_code,
    province,
    occupation,
    channel_code,
    promised_amount,
    {{ ratio('promised_amount', 'arrears_amount') }} as promised_to_arrears_rate,
    {{ ratio('promised_amount', 'installment_amount') }} as promised_to_installment_rate,
    {{ ratio('promised_amount', 'monthly_income_amount') }} as promised_to_income_rate,
    missing_rate,
    days_since_made,
    days_to_due,
    days_to_grace_end,
    past_due_days,
    arrears_amount,
    installment_amount,
    days_since_last_payment,
    {{ ratio('paid_28d_amount', 'installment_amount') }} as paid_28d_rate,
    {{ ratio('paid_91d_amount', 'installment_amount') }} as paid_91d_rate,
    promise_count_182d,
    broken_promise_count_182d,
    settled_promise_count_364d,
    {{ ratio('kept_promise_count_364d', 'settled_promise_count_364d') }} as kept_promise_rate_364d,
    open_promise_count,
    attempt_28d_count,
    right_party_28d_count,
    is_urban,
    monthly_income_amount,
    due_day_of_month
from measured
