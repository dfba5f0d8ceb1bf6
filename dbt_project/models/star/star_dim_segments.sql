{{ config(alias='dim_segments') }}
select
    {{ hash_key('segment_code') }} as segment_key,
    segment_code,
    segment_rank,
    min_days,
    max_days,
    label_es,
    label_en
from {{ ref('segments') }}
union all
{{ unknown_member(['segment_code', 'label_es', 'label_en']) }}
