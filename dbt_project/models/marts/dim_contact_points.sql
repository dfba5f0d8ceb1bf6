-- ``valid`` is a finding and no permission: nobody can know of a number that was never tried whether it works, so what was
-- not found wrong may be used, however many others the source says were found right.
select
    contact_point_id,
    customer_id,
    kind_code,
    value,
    coalesce(has_whatsapp, false) as has_whatsapp,
    latitude,
    longitude,
    place_code,
    party_code,
    coalesce(is_valid, true) as is_valid,
    has_consent,
    consent_at,
    opted_out_at,
    updated_at
from {{ ref('stg_core__contact_points') }}
