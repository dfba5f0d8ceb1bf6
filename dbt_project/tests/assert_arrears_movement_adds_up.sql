{{ config(meta={'dagster': {'ref': {'name': 'rpt_arrears_movement'}}}) }}
-- Opening and what moved give closing: amounts, principal and loans; by months, weeks and days.
{% for report in ['rpt_arrears_movement', 'rpt_arrears_movement_periods'] -%}
select
    as_of_date,
    branch_id,
    product_code
from {{ ref(report) }}
where
    opening_amount + new_amount + increased_amount - reduced_amount - cured_amount - written_off_amount - closed_amount
    <> closing_amount
    or opening_principal_amount + new_principal_amount - repaid_principal_amount - cured_principal_amount
    - written_off_principal_amount - closed_principal_amount <> closing_principal_amount
    or opening_count + new_count - cured_count - written_off_count - closed_count <> closing_count
{% if not loop.last %}union all{% endif %}
{% endfor %}
