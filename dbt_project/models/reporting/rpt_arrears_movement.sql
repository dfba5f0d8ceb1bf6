-- What moved the arrears of the active loans from one date to the next: month ends, then the run's date.
with states as (
    select *
    from {{ ref('fct_loan_as_of') }}
    where is_month_end or as_of_date = (select as_of_date from {{ source('control', 'run_parameters') }})
),

dates as (
    select
        as_of_date,
        lag(as_of_date) over (order by as_of_date) as from_date,
        lead(as_of_date) over (order by as_of_date) as next_date
    from (select distinct as_of_date from states) as known_dates
),

owed as (
    select
        as_of_date,
        loan_id,
        branch_id,
        product_code,
        arrears_amount
    from states
    where loan_status_code = 'active' and arrears_amount > 0
),

-- A loan enters the comparison of two dates when it owed something on either.
pairs as (
    select
        dates.from_date,
        owed.as_of_date,
        owed.loan_id,
        owed.branch_id,
        owed.product_code,
        0 as opening_amount,
        owed.arrears_amount as closing_amount
    from owed
    inner join dates on owed.as_of_date = dates.as_of_date
    where dates.from_date is not null

    union all

    select
        owed.as_of_date as from_date,
        dates.next_date as as_of_date,
        owed.loan_id,
        owed.branch_id,
        owed.product_code,
        owed.arrears_amount as opening_amount,
        0 as closing_amount
    from owed
    inner join dates on owed.as_of_date = dates.as_of_date
    where dates.next_date is not null
),

compared as (
    select
        from_date,
        as_of_date,
        loan_id,
        branch_id,
        product_code,
        sum(opening_amount) as opening_amount,
        sum(closing_amount) as closing_amount
    from pairs
    group by from_date, as_of_date, loan_id, branch_id, product_code
),

classified as (
    select
        compared.*,
        case
            when compared.opening_amount = 0 then 'new'
            when compared.closing_amount > compared.opening_amount then 'increased'
            when compared.closing_amount = compared.opening_amount then 'unchanged'
            when compared.closing_amount > 0 then 'reduced'
            when now_state.loan_status_code = 'written_off' then 'written_off'
            when now_state.loan_status_code = 'closed' then 'closed'
            else 'cured'
        end as movement_code
    from compared
    inner join states as now_state
        on compared.loan_id = now_state.loan_id
        and compared.as_of_date = now_state.as_of_date
)

select
    from_date,
    as_of_date,
    branch_id,
    product_code,
    {{ money('sum(opening_amount)') }} as opening_amount,
    {{ money("sum(case when movement_code = 'new' then closing_amount else 0 end)") }} as new_amount,
    {{ money("sum(case when movement_code = 'increased' then closing_amount - opening_amount else 0 end)") }} as increased_amount,
    {{ money("sum(case when movement_code = 'reduced' then opening_amount - closing_amount else 0 end)") }} as reduced_amount,
    {{ money("sum(case when movement_code = 'cured' then opening_amount else 0 end)") }} as cured_amount,
    {{ money("sum(case when movement_code = 'written_off' then opening_amount else 0 end)") }} as written_off_amount,
    {{ money("sum(case when movement_code = 'closed' then opening_amount else 0 end)") }} as closed_amount,
    {{ money('sum(closing_amount)') }} as closing_amount,
    cast(sum(case when opening_amount > 0 then 1 else 0 end) as bigint) as opening_count,
    {% for movement in ['new', 'increased', 'reduced', 'cured', 'written_off', 'closed'] -%}
    cast(sum(case when movement_code = '{{ movement }}' then 1 else 0 end) as bigint) as {{ movement }}_count,
    {% endfor -%}
    cast(sum(case when closing_amount > 0 then 1 else 0 end) as bigint) as closing_count
from classified
group by from_date, as_of_date, branch_id, product_code
