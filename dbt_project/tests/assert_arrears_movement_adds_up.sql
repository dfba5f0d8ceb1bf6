select *
from {{ ref('rpt_arrears_movement') }}
where
    opening_amount + new_amount + increased_amount - reduced_amount - cured_amount - written_off_amount - closed_amount
    <> closing_amount
    or opening_count + new_count - cured_count - written_off_count - closed_count <> closing_count
