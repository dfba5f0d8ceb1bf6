-- How much of what was lent in a month has ever been more than the default threshold past due, by months since then. A
-- loan counts with the principal that was lent, from the first such day on: the curve of a cohort never falls.
{% set longest = 60 %}

with bad_days as (
    select
        loan_id,
        min(greatest(past_due_from_date, {{ add_days('due_date', var('default_past_due_days') + 1 - past_due_shift()) }})) as bad_date
    from {{ ref('int_installments__past_due_spans') }}
    where {{ add_days('due_date', var('default_past_due_days') + 1 - past_due_shift()) }} < past_due_to_date
    group by loan_id
),

loans as (
    select
        lifespans.branch_id,
        lifespans.product_code,
        cast(date_trunc('month', lifespans.disbursed_date) as date) as cohort_month,
        lifespans.principal_amount,
        -- 0 = the month of the disbursement itself.
        cast(
            (extract(year from bad_days.bad_date) - extract(year from lifespans.disbursed_date)) * 12
            + extract(month from bad_days.bad_date) - extract(month from lifespans.disbursed_date)
            as bigint
        ) as bad_month_on_book
    from {{ ref('int_loans__lifespans') }} as lifespans
    cross join {{ source('control', 'run_parameters') }} as run
    left join bad_days on lifespans.loan_id = bad_days.loan_id
    where lifespans.disbursed_date <= run.as_of_date
),

-- Few rows: what is summed up here is laid over the months below.
cohorts as (
    select
        branch_id,
        product_code,
        cohort_month,
        bad_month_on_book,
        count(*) as loan_count,
        sum(principal_amount) as principal_amount
    from loans
    group by branch_id, product_code, cohort_month, bad_month_on_book
),

months as (
    select
        starts.cohort_month,
        cast(ages.month_on_book as bigint) as month_on_book,
        {{ add_days("cast(starts.cohort_month + (ages.month_on_book + 1) * interval '1 month' as date)", -1) }} as as_of_date
    from (select distinct cohort_month from cohorts) as starts
    cross join generate_series(0, {{ longest }}) as ages (month_on_book)
)

select
    months.as_of_date,
    cohorts.branch_id,
    cohorts.product_code,
    cohorts.cohort_month,
    months.month_on_book,
    cast(sum(cohorts.loan_count) as bigint) as loan_count,
    cast(sum(case when cohorts.bad_month_on_book <= months.month_on_book then cohorts.loan_count else 0 end) as bigint)
        as defaulted_loan_count,
    {{ money('sum(cohorts.principal_amount)') }} as disbursed_amount,
    {{ money('sum(case when cohorts.bad_month_on_book <= months.month_on_book then cohorts.principal_amount else 0 end)') }}
        as defaulted_amount,
    {{ ratio(
        'sum(case when cohorts.bad_month_on_book <= months.month_on_book then cohorts.principal_amount else 0 end)',
        'sum(cohorts.principal_amount)',
    ) }} as defaulted_rate
from cohorts
inner join months on cohorts.cohort_month = months.cohort_month
cross join {{ source('control', 'run_parameters') }} as run
where months.as_of_date <= run.as_of_date
group by months.as_of_date, cohorts.branch_id, cohorts.product_code, cohorts.cohort_month, months.month_on_book
