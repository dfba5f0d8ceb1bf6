-- Contacts with each customer up to a date of the feature spine; a contact on the date itself is past.
with marks as (
    select distinct
        customer_id,
        as_of_date
    from {{ ref('int_loans__arrears') }}
    where (is_score or is_risk_training or is_channel_training) and loan_status_code = 'active'
),

interactions as (
    select
        marks.customer_id,
        marks.as_of_date,
        {{ days_between('interactions.occurred_date', 'marks.as_of_date') }} as age_days,
        interactions.channel_code,
        interactions.outcome_code,
        interactions.is_attempt,
        interactions.is_contact,
        interactions.is_right_party
    from marks
    inner join {{ ref('fct_interactions') }} as interactions
        on marks.customer_id = interactions.customer_id
        and interactions.occurred_date <= marks.as_of_date
)

-- count(case ...) and not sum(case ...): a third of the time on millions of pairs.
select
    customer_id,
    as_of_date,
    min(case when is_attempt then age_days end) as days_since_last_attempt,
    min(case when is_contact then age_days end) as days_since_last_contact,
    {% for days in [7, 14, 21, 28, 42, 56, 91] -%}
    count(case when is_attempt and age_days < {{ days }} then 1 end) as attempt_{{ days }}d_count,
    {% endfor -%}
    {% for channel in contact_channels() -%}
    {% for days in [28, 182, 364] -%}
    count(case when is_attempt and channel_code = '{{ channel }}' and age_days < {{ days }} then 1 end)
        as {{ channel }}_attempt_{{ days }}d_count,
    {% endfor -%}
    {% for days in [182, 364] -%}
    count(case when is_attempt and is_contact and channel_code = '{{ channel }}' and age_days < {{ days }} then 1 end)
        as {{ channel }}_contact_{{ days }}d_count,
    {% endfor -%}
    {% endfor -%}
    count(case when is_right_party and age_days < 91 then 1 end) as right_party_91d_count,
    count(case when outcome_code = 'no_answer' and age_days < 91 then 1 end) as no_answer_91d_count
from interactions
group by customer_id, as_of_date
