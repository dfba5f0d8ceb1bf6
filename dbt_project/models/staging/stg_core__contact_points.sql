{{ newest_version(source('raw', 'contact_points'), ['contact_point_id'], [
    'contact_point_id',
    'customer_id',
    'kind as kind_code',
    'value',
    'whatsapp as has_whatsapp',
    'latitude',
    'longitude',
    'valid as is_valid',
    'consent as has_consent',
    'consent_at',
    'opted_out_at',
    'updated_at',
]) }}
