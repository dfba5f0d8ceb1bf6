{{ config(alias='dim_customers') }}
select
    {{ hash_key('customer_id') }} as customer_key,
    customer_id,
    branch_id,
    is_urban,
    member_since_date,
    language_code,
    customer_status_code
from {{ ref('dim_customers') }}
union all
{{ unknown_member(['customer_id']) }}
