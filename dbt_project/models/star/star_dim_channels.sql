{{ config(alias='dim_channels') }}
select
    {{ hash_key('channel_code') }} as channel_key,
    channel_code,
    rank,
    label_es,
    label_en,
    is_message,
    needs_collector
from {{ ref('channels') }}
union all
{{ unknown_member(['channel_code', 'label_es', 'label_en']) }}
