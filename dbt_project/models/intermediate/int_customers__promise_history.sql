-- Promises of the year on any of the customer's loans, also those that left the book since.
with marks as (
    select distinct
        customer_id,
        as_of_date
    from {{ ref('int_loans__arrears') }}
    where (is_score or is_channel_training) and loan_status_code = 'active'
),

known as (
    select
        marks.customer_id,
        marks.as_of_date,
        {{ days_between('progress.made_date', 'marks.as_of_date') }} as age_days,
        {{ promise_status('progress', 'marks.as_of_date') }} as promise_status_code
    from marks
    inner join {{ ref('int_promises__progress') }} as progress
        on marks.customer_id = progress.customer_id
        and progress.made_date > {{ add_days('marks.as_of_date', -364) }}
        and progress.valid_from_date <= marks.as_of_date
        and progress.valid_to_date > marks.as_of_date
)

select
    customer_id,
    as_of_date,
    {{ promise_counts() }}
from known
group by customer_id, as_of_date
