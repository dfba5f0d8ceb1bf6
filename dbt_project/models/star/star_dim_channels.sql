{{ config(alias='dim_channels') }}
-- A decision not to contact is a choice among the channels, and has a row like them.
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
select
    {{ hash_key("'none'") }} as channel_key,
    'none' as channel_code,
    cast(0 as bigint) as rank,
    'Sin contacto' as label_es,
    'No contact' as label_en,
    false as is_message,
    false as needs_collector
union all
{{ unknown_member(['channel_code', 'label_es', 'label_en']) }}
