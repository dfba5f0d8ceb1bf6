-- How members moved between segments, as the run of each day counted it.
select
    stored.as_of_date,
    stored.comparison_code,
    stored.from_date,
    stored.set_id,
    stored.from_segment_code,
    stored.to_segment_code,
    stored.member_count,
    stored.from_arrears_amount,
    stored.to_arrears_amount,
    stored.is_same_definition
from {{ source('decisions', 'segment_migration') }} as stored
cross join {{ source('control', 'run_parameters') }} as run
where stored.as_of_date <= run.as_of_date
