{{ config(alias='dim_branches') }}
select
    {{ hash_key('branch_id') }} as branch_key,
    branch_id,
    branch_name,
    province,
    latitude,
    longitude
from {{ ref('dim_branches') }}
union all
{{ unknown_member(['branch_id', 'branch_name', 'province']) }}
