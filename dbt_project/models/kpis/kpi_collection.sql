{{ config(
    materialized='incremental',
    incremental_strategy='replace',
    meta={'replaced': kpi_period_replaced('kpi_period_openings')},
) }}

-- What each loan owed when a period began, what fell due in it, and what of both was still owed at its end. Owed means fallen
-- due and not paid. Money goes to the oldest due, so what a due had received is where the money paid so far reaches to.
with periods as (
    {{ kpi_changed_openings() }}
),

-- After a loan has left the book nothing falls due any more.
installments as (
    select
        installments.loan_id,
        installments.due_date,
        installments.due_amount,
        installments.cumulative_due_amount
    from {{ ref('int_installments__scheduled') }} as installments
    inner join {{ ref('int_loans__lifespans') }} as lifespans on installments.loan_id = lifespans.loan_id
    where installments.due_date <= coalesce(lifespans.closed_date, lifespans.written_off_date, installments.due_date)
),

dues as (
    select
        periods.period_code,
        periods.as_of_date,
        installments.loan_id,
        sum(installments.due_amount) as due_amount,
        min(installments.cumulative_due_amount - installments.due_amount) as due_before_amount
    from installments
    inner join {{ ref('kpi_period_days') }} as days on installments.due_date = days.activity_date
    inner join periods
        on days.period_code = periods.period_code
        and days.as_of_date = periods.as_of_date
    group by periods.period_code, periods.as_of_date, installments.loan_id
),

due_on_the_day as (
    select
        loan_id,
        due_date,
        sum(due_amount) as due_amount
    from installments
    where due_date in (select opening_date from periods union select as_of_date from periods)
    group by loan_id, due_date
),

states as (
    select
        loans.as_of_date,
        loans.loan_id,
        loans.branch_id,
        loans.product_code,
        loans.segment_code,
        loans.loan_status_code,
        loans.paid_amount,
        loans.arrears_amount,
        -- Due on the very day: owed, and not past due yet.
        {% if var('due_day_is_past_due') -%}
        {{ money('0') }} as current_amount
        {%- else -%}
        {{ money("case
            when loans.loan_status_code = 'closed' then 0
            else greatest(
                coalesce(due_on_the_day.due_amount, 0) - greatest(loans.paid_amount - loans.scheduled_amount, 0), 0
            )
        end") }} as current_amount
        {%- endif %}
    from {{ ref('fct_loan_as_of') }} as loans
    left join due_on_the_day
        on loans.loan_id = due_on_the_day.loan_id
        and loans.as_of_date = due_on_the_day.due_date
    where loans.as_of_date in (select opening_date from periods union select as_of_date from periods)
),

movements as (
    select
        periods.period_code,
        periods.as_of_date,
        closings.branch_id,
        closings.product_code,
        coalesce(openings.segment_code, 'preventive') as segment_code,
        coalesce(openings.arrears_amount + openings.current_amount, 0) as opening_receivable_amount,
        closings.arrears_amount + closings.current_amount as closing_receivable_amount,
        closings.current_amount as closing_current_amount,
        coalesce(dues.due_amount, 0) as due_amount,
        coalesce(
            least(greatest(closings.paid_amount - dues.due_before_amount, 0), dues.due_amount), 0
        ) as due_collected_amount,
        coalesce(
            least(greatest(coalesce(openings.paid_amount, 0) - dues.due_before_amount, 0), dues.due_amount), 0
        ) as paid_before_amount
    from periods
    inner join states as closings on periods.as_of_date = closings.as_of_date
    left join states as openings
        on periods.opening_date = openings.as_of_date
        and closings.loan_id = openings.loan_id
    left join dues
        on periods.period_code = dues.period_code
        and periods.as_of_date = dues.as_of_date
        and closings.loan_id = dues.loan_id
    where
        coalesce(openings.loan_status_code, 'active') = 'active'
        and (openings.arrears_amount > 0 or openings.current_amount > 0 or dues.due_amount > 0)
)

select
    period_code,
    as_of_date,
    branch_id,
    product_code,
    segment_code,
    {{ money('sum(opening_receivable_amount)') }} as opening_receivable_amount,
    {{ money('sum(closing_receivable_amount)') }} as closing_receivable_amount,
    {{ money('sum(closing_current_amount)') }} as closing_current_amount,
    {{ money('sum(due_amount)') }} as due_amount,
    {{ money('sum(due_collected_amount)') }} as due_collected_amount,
    -- What a reversal took back before the period ended is not there to count.
    {{ money('sum(least(paid_before_amount, due_collected_amount))') }} as due_prepaid_amount
from movements
group by period_code, as_of_date, branch_id, product_code, segment_code
