select
    contact_point_id,
    customer_id,
    kind_code,
    value,
    coalesce(has_whatsapp, false) as has_whatsapp,
    latitude,
    longitude,
    coalesce(is_valid, true) as is_valid,
    has_consent,
    opted_out_at,
    updated_at
from {{ ref('stg_core__contact_points') }}
