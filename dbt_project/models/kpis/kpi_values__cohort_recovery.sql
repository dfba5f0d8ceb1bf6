-- K27: the loans that were past due when a month began, and what they paid while past due in the days that followed. A month
-- speaks when its days are over; a loan that was written off or went on to pay stays in its cohort.
{%- set grains = ['total', 'branch', 'product', 'segment', 'bucket', 'branch_product', 'province'] %}

with cohorts as (
    select
        openings.period_code,
        openings.as_of_date,
        openings.opening_date,
        {{ add_days('openings.opening_date', var('recovery_horizon_days')) }} as last_date,
        loans.loan_id,
        loans.branch_id,
        loans.product_code,
        loans.segment_code,
        loans.bucket_code,
        loans.arrears_amount
    from {{ ref('kpi_period_openings') }} as openings
    inner join {{ ref('fct_loan_as_of') }} as loans on openings.opening_date = loans.as_of_date
    cross join {{ source('control', 'run_parameters') }} as run
    where
        openings.period_code = 'month'
        and {{ add_days('openings.opening_date', var('recovery_horizon_days')) }} <= run.as_of_date
        and loans.loan_status_code = 'active'
        and loans.past_due_days > 0
),

collected as (
    select
        cohorts.as_of_date,
        cohorts.loan_id,
        sum(payments.payment_amount) as collected_amount
    from cohorts
    inner join {{ ref('fct_payments') }} as payments
        on cohorts.loan_id = payments.loan_id
        and payments.paid_date > cohorts.opening_date
        and payments.paid_date <= cohorts.last_date
    left join {{ ref('fct_payments') }} as undone
        on payments.reverses_payment_id = undone.payment_id
        and payments.loan_id = undone.loan_id
        and undone.paid_date <= payments.paid_date
    where
        coalesce(undone.past_due_days, payments.past_due_days) > 0
        -- What came before the cohort was formed is not its to lose.
        and coalesce(undone.paid_date, payments.paid_date) > cohorts.opening_date
    group by cohorts.as_of_date, cohorts.loan_id
),

cells as (
    select
        cohorts.period_code,
        cohorts.as_of_date,
        cohorts.branch_id,
        cohorts.product_code,
        cohorts.segment_code,
        cohorts.bucket_code,
        branches.province,
        sum(cohorts.arrears_amount) as opening_arrears_amount,
        sum(coalesce(collected.collected_amount, 0)) as collected_amount
    from cohorts
    left join collected
        on cohorts.as_of_date = collected.as_of_date
        and cohorts.loan_id = collected.loan_id
    left join {{ ref('dim_branches') }} as branches on cohorts.branch_id = branches.branch_id
    group by
        cohorts.period_code,
        cohorts.as_of_date,
        cohorts.branch_id,
        cohorts.product_code,
        cohorts.segment_code,
        cohorts.bucket_code,
        branches.province
)

{{ kpi_grain_rows('cells', [['K27', 'collected_amount', 'opening_arrears_amount']], grains) }}
