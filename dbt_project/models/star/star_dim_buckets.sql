{{ config(alias='dim_buckets') }}
select
    {{ hash_key('bucket_code') }} as bucket_key,
    bucket_code,
    bucket_rank,
    min_days,
    max_days,
    label_es,
    label_en
from {{ ref('dpd_buckets') }}
union all
{{ unknown_member(['bucket_code', 'label_es', 'label_en']) }}
