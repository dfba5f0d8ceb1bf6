-- What every campaign selected, sent and held back on each day that was decided.
select
    stored.as_of_date,
    stored.campaign_id,
    stored.channel_code,
    stored.name_es,
    stored.name_en,
    stored.priority,
    stored.hours,
    stored.selected_count,
    stored.sent_count,
    stored.suppressed_count,
    stored.message_segments,
    stored.cost_amount
from {{ source('decisions', 'campaign_counts') }} as stored
cross join {{ source('control', 'run_parameters') }} as run
where stored.as_of_date <= run.as_of_date
