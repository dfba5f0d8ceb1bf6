{{ config(materialized='incremental', incremental_strategy='replace', meta={'replaced':
    "replaced.contact_point_id in (select contact_point_id from raw.contact_points where _load_id > (select coalesce(built_load_id, -1) from control.run_parameters))"
}) }}

{{ newest_version(source('raw', 'contact_points'), ['contact_point_id'], [
    'contact_point_id',
    'customer_id',
    'kind as kind_code',
    'value',
    'whatsapp as has_whatsapp',
    'latitude',
    'longitude',
    'place as place_code',
    'party as party_code',
    'valid as is_valid',
    'consent as has_consent',
    'consent_at',
    'opted_out_at',
    'updated_at',
]) }}
