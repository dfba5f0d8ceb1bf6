with marks as (
    select
        arrears.as_of_date,
        arrears.loan_id,
        arrears.customer_id,
        arrears.is_score,
        arrears.is_channel_training,
        arrears.past_due_days,
        arrears.past_due_installment_count,
        arrears.arrears_amount,
        arrears.due_next_window_amount,
        {{ money('arrears.arrears_amount + arrears.due_next_window_amount') }} as collectable_amount,
        arrears.outstanding_principal_amount,
        arrears.last_payment_date,
        lifespans.product_code,
        coalesce(installments.due_amount, 0) as installment_amount,
        {{ days_between('arrears.as_of_date', 'next_due.due_date') }} as next_due_in_days,
        behaviour.due_28d_amount,
        behaviour.due_91d_amount,
        behaviour.due_364d_amount,
        behaviour.paid_28d_amount,
        behaviour.paid_91d_amount,
        behaviour.paid_364d_amount,
        behaviour.payment_91d_count,
        behaviour.max_late_days_91d,
        behaviour.max_late_days_182d,
        behaviour.max_late_days_364d,
        behaviour.late_days_182d,
        behaviour.due_installment_182d_count,
        behaviour.late_installment_364d_count,
        behaviour.due_installment_364d_count
    from {{ ref('int_loans__arrears') }} as arrears
    inner join {{ ref('int_loans__behaviour') }} as behaviour
        on arrears.loan_id = behaviour.loan_id
        and arrears.as_of_date = behaviour.as_of_date
    inner join {{ ref('int_loans__lifespans') }} as lifespans on arrears.loan_id = lifespans.loan_id
    left join {{ ref('int_installments__scheduled') }} as installments
        on behaviour.loan_id = installments.loan_id
        and behaviour.installment_rank = installments.installment_rank
    left join {{ ref('int_installments__scheduled') }} as next_due
        on arrears.loan_id = next_due.loan_id
        and next_due.installment_rank = greatest(arrears.due_installment_count, arrears.covered_installment_count) + 1
    where (arrears.is_score or arrears.is_channel_training) and arrears.loan_status_code = 'active'
),

ranked as (
    select
        as_of_date,
        customer_id,
        loan_id,
        product_code,
        row_number() over (
            partition by customer_id, as_of_date
            order by
                arrears_amount desc,
                past_due_days desc,
                collectable_amount desc,
                {{ bytewise('loan_id') }}
        ) as loan_rank
    from marks
),

summed as (
    select
        as_of_date,
        customer_id,
        -- The flags are the same for all loans of a customer on a date.
        max(case when is_score then 1 else 0 end) as is_score,
        max(case when is_channel_training then 1 else 0 end) as is_channel_training,
        count(*) as active_loan_count,
        max(past_due_days) as past_due_days,
        sum(past_due_installment_count) as past_due_installment_count,
        {{ money('sum(arrears_amount)') }} as arrears_amount,
        {{ money('sum(due_next_window_amount)') }} as due_next_window_amount,
        {{ money('sum(collectable_amount)') }} as collectable_amount,
        {{ money('sum(outstanding_principal_amount)') }} as outstanding_principal_amount,
        {{ money('sum(installment_amount)') }} as installment_amount,
        min(next_due_in_days) as next_due_in_days,
        max(last_payment_date) as last_payment_date,
        sum(due_28d_amount) as due_28d_amount,
        sum(due_91d_amount) as due_91d_amount,
        sum(due_364d_amount) as due_364d_amount,
        sum(paid_28d_amount) as paid_28d_amount,
        sum(paid_91d_amount) as paid_91d_amount,
        sum(paid_364d_amount) as paid_364d_amount,
        sum(payment_91d_count) as payment_91d_count,
        max(max_late_days_91d) as max_late_days_91d,
        max(max_late_days_182d) as max_late_days_182d,
        max(max_late_days_364d) as max_late_days_364d,
        sum(late_days_182d) as late_days_182d,
        sum(due_installment_182d_count) as due_installment_182d_count,
        sum(late_installment_364d_count) as late_installment_364d_count,
        sum(due_installment_364d_count) as due_installment_364d_count
    from marks
    group by as_of_date, customer_id
),

reachable as (
    select
        customer_id,
        max(case when kind_code = 'mobile' then 1 else 0 end) as has_mobile,
        max(case when has_whatsapp then 1 else 0 end) as has_whatsapp,
        max(case when kind_code = 'landline' then 1 else 0 end) as has_landline,
        max(case when kind_code = 'email' then 1 else 0 end) as has_email,
        max(case when kind_code = 'address' then 1 else 0 end) as has_address
    from {{ ref('dim_contact_points') }} as points
    where is_valid and {{ reaches_an_obligor('points') }}
    group by customer_id
)

select
    summed.as_of_date,
    summed.customer_id,
    summed.is_score = 1 as is_score,
    summed.is_channel_training = 1 as is_channel_training,
    summed.collectable_amount > {{ tolerance() }} as is_eligible,
    ranked.loan_id,
    customers.province,
    customers.branch_id,
    customers.occupation,
    ranked.product_code,
    cast(summed.active_loan_count as bigint) as active_loan_count,
    cast(summed.past_due_days as bigint) as past_due_days,
    summed.arrears_amount,
    summed.collectable_amount,
    summed.due_next_window_amount,
    summed.installment_amount,
    summed.outstanding_principal_amount,
    cast(summed.past_due_installment_count as bigint) as past_due_installment_count,
    summed.next_due_in_days,
    {{ days_between('summed.last_payment_date', 'summed.as_of_date') }} as days_since_last_payment,
    {% for days in [28, 91] -%}
    {{ ratio('summed.paid_' ~ days ~ 'd_amount', 'summed.installment_amount') }} as paid_{{ days }}d_rate,
    {% endfor -%}
    {% for days in [28, 91, 364] -%}
    {{ ratio('summed.due_' ~ days ~ 'd_amount - summed.paid_' ~ days ~ 'd_amount', 'summed.installment_amount') }}
        as shortfall_{{ days }}d_rate,
    {% endfor -%}
    summed.max_late_days_91d,
    summed.max_late_days_182d,
    summed.max_late_days_364d,
    {{ ratio('summed.late_days_182d', 'summed.due_installment_182d_count') }} as mean_late_days_182d,
    {{ ratio('summed.due_installment_364d_count - summed.late_installment_364d_count', 'summed.due_installment_364d_count') }}
        as on_time_rate_364d,
    cast(summed.payment_91d_count as bigint) as payment_count_91d,
    customers.monthly_income_amount,
    {{ ratio('summed.installment_amount', 'customers.monthly_income_amount') }} as burden_rate,
    case
        when customers.member_since_date is not null
            then greatest({{ days_between('customers.member_since_date', 'summed.as_of_date') }}, 0)
    end as member_tenure_days,
    customers.is_urban,
    coalesce(promises.open_promise_count, 0) > 0 as has_open_promise,
    coalesce(promises.promise_182d_count, 0) as promise_count_182d,
    {{ ratio('promises.kept_promise_364d_count', 'promises.settled_promise_364d_count') }} as kept_promise_rate_364d,
    coalesce(promises.broken_promise_182d_count, 0) as broken_promise_count_182d,
    {% for days in [7, 14, 21, 28, 42, 56] -%}
    coalesce(contacts.attempt_{{ days }}d_count, 0) as attempt_{{ days }}d_count,
    {% endfor -%}
    contacts.days_since_last_attempt,
    contacts.days_since_last_contact,
    {% for channel in contact_channels() -%}
    coalesce(contacts.{{ channel }}_attempt_28d_count, 0) as {{ channel }}_attempt_28d_count,
    coalesce(contacts.{{ channel }}_attempt_182d_count, 0) as {{ channel }}_attempt_182d_count,
    coalesce(contacts.{{ channel }}_contact_182d_count, 0) as {{ channel }}_contact_182d_count,
    {{ ratio('contacts.' ~ channel ~ '_contact_364d_count', 'contacts.' ~ channel ~ '_attempt_364d_count') }}
        as {{ channel }}_contact_rate_364d,
    {% endfor -%}
    {% for flag in ['has_mobile', 'has_whatsapp', 'has_landline', 'has_email', 'has_address'] -%}
    coalesce(reachable.{{ flag }}, 0) = 1 as {{ flag }},
    {% endfor -%}
    cast(extract(day from summed.as_of_date) as bigint) as day_of_month,
    cast(extract(doy from summed.as_of_date) as bigint) as day_of_year
from summed
inner join ranked
    on summed.customer_id = ranked.customer_id
    and summed.as_of_date = ranked.as_of_date
    and ranked.loan_rank = 1
inner join {{ ref('dim_customers') }} as customers on summed.customer_id = customers.customer_id
left join {{ ref('int_customers__promise_history') }} as promises
    on summed.customer_id = promises.customer_id
    and summed.as_of_date = promises.as_of_date
left join {{ ref('int_customers__contact_history') }} as contacts
    on summed.customer_id = contacts.customer_id
    and summed.as_of_date = contacts.as_of_date
left join reachable on summed.customer_id = reachable.customer_id
