-- A receipt, an answer or a request to stop belongs to the day on which its message was sent, up to as many days before as
-- receipts are waited for; so those days change too, and the day after, because two clocks may stand on two sides of midnight.
select distinct {{ add_days('changed.activity_date', '-cast(days.day_no as integer)') }} as activity_date
from {{ ref('int_changes__activity_dates') }} as changed
cross join {{ source('control', 'run_parameters') }} as run
cross join generate_series(-1, {{ var('message_receipt_days') }}) as days (day_no)
where {{ add_days('changed.activity_date', '-cast(days.day_no as integer)') }} >= run.history_start_date
