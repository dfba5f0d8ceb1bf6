-- Branches that loans or customers name but nobody delivered are kept under their key.
with named as (
    select branch_id from {{ ref('stg_core__branches') }}
    union
    select branch_id from {{ ref('stg_core__loans') }} where branch_id is not null
    union
    select branch_id from {{ ref('stg_core__customers') }} where branch_id is not null
)

select
    named.branch_id,
    coalesce(branches.branch_name, named.branch_id) as branch_name,
    branches.province,
    branches.latitude,
    branches.longitude
from named
left join {{ ref('stg_core__branches') }} as branches on named.branch_id = branches.branch_id
