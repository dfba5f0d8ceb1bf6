-- A number of past-due days meets its rung by an equal join: every ladder is climbed once, not once per loan and date.
with days as (
    select cast(past_due_days as bigint) as past_due_days
    from generate_series(0, {{ last_ladder_day() }}) as days (past_due_days)
)

select
    days.past_due_days,
    buckets.bucket_code,
    segments.segment_code
from days
left join {{ ref('dpd_buckets') }} as buckets
    on days.past_due_days >= buckets.min_days
    and (buckets.max_days is null or days.past_due_days <= buckets.max_days)
left join {{ ref('segments') }} as segments
    on days.past_due_days >= segments.min_days
    and (segments.max_days is null or days.past_due_days <= segments.max_days)
