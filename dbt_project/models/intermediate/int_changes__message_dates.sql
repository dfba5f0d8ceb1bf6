-- A receipt, an answer or a request to stop belongs to the day on which its message was sent: a receipt comes as many days
-- after as receipts are waited for, an answer the hours after that delivery that count as one. So those days change too, and
-- one day more on either side, because two clocks may stand on two sides of midnight.
{% set days_before = var('message_receipt_days') + (var('message_response_hours') / 24) | round(0, 'ceil') | int + 1 -%}
select distinct {{ add_days('changed.activity_date', '-cast(days.day_no as integer)') }} as activity_date
from {{ ref('int_changes__activity_dates') }} as changed
cross join {{ source('control', 'run_parameters') }} as run
cross join generate_series(-1, {{ days_before }}) as days (day_no)
where {{ add_days('changed.activity_date', '-cast(days.day_no as integer)') }} >= run.history_start_date
