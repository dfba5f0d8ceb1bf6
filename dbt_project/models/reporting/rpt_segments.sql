-- How many members each segment had on each day that was decided.
select
    stored.as_of_date,
    stored.set_id,
    stored.segment_code,
    stored.segment_rank,
    stored.name_es,
    stored.name_en,
    stored.version,
    stored.digest,
    stored.is_exclusive,
    stored.member_count,
    stored.arrears_amount
from {{ source('decisions', 'segment_sizes') }} as stored
cross join {{ source('control', 'run_parameters') }} as run
where stored.as_of_date <= run.as_of_date
