select
    customer_id,
    full_name,
    national_id,
    birth_date,
    gender,
    marital_state,
    province,
    city,
    coalesce(is_urban, false) as is_urban,
    occupation,
    {{ money('monthly_income_amount') }} as monthly_income_amount,
    member_since_date,
    branch_id,
    language_code,
    timezone,
    party_code,
    customer_status_code
from {{ ref('stg_core__customers') }}
