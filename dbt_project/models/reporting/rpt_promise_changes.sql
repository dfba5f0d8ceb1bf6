{{ config(materialized='incremental', incremental_strategy='replace', meta={'replaced':
    "replaced.promise_id in (select promise_id from intermediate.int_changes__promises)"
}) }}

-- The days on which a promise changed its state: the day it was made, days with payments, and the day after its grace.
with progress as (
    select *
    from {{ ref('int_promises__progress') }}
    {{ changed_rows('promise_id', 'int_changes__promises') }}
),

points as (
    select
        promise_id,
        valid_from_date as changed_date
    from progress

    union

    select
        promise_id,
        {{ add_days('grace_end_date', 1) }}
    from progress
),

states as (
    select
        progress.promise_id,
        progress.loan_id,
        points.changed_date,
        progress.promised_amount,
        progress.paid_amount,
        {{ promise_status('progress', 'points.changed_date') }} as promise_status_code
    from points
    cross join {{ source('control', 'run_parameters') }} as run
    inner join progress
        on points.promise_id = progress.promise_id
        and progress.valid_from_date <= points.changed_date
        and progress.valid_to_date > points.changed_date
    where points.changed_date <= run.as_of_date
),

stepped as (
    select
        states.*,
        lag(promise_status_code) over (
            partition by promise_id
            order by changed_date
        ) as previous_status_code
    from states
)

select
    promise_id,
    loan_id,
    cast(row_number() over (
        partition by promise_id
        order by changed_date
    ) as bigint) as change_no,
    changed_date,
    previous_status_code,
    promise_status_code,
    promised_amount,
    paid_amount
from stepped
where previous_status_code is null or previous_status_code <> promise_status_code
