-- Why campaigns held members back, by rule.
select
    stored.as_of_date,
    stored.campaign_id,
    stored.channel_code,
    stored.rule_id,
    stored.rule_source,
    stored.suppressed_count,
    stored.touched_count
from {{ source('decisions', 'campaign_suppressions') }} as stored
cross join {{ source('control', 'run_parameters') }} as run
where stored.as_of_date <= run.as_of_date
