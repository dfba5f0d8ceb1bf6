-- Starts at day 0, each bucket begins the day after the one before it ends, and only the last is open.
with ladder as (
    select
        bucket_code,
        min_days,
        max_days,
        lag(max_days) over (order by bucket_rank) as previous_max_days,
        row_number() over (order by bucket_rank) as position,
        row_number() over (order by bucket_rank desc) as position_from_top
    from {{ ref('dpd_buckets') }}
)

select *
from ladder
where
    (position = 1 and min_days <> 0)
    or (position > 1 and (previous_max_days is null or min_days <> previous_max_days + 1))
    or (position_from_top = 1 and max_days is not null)
    or max_days < min_days
