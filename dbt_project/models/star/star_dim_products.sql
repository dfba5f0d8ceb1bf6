{{ config(alias='dim_products') }}
-- A product that a loan has and the seed does not is kept under its code.
with in_force as (
    select products.*
    from {{ ref('products') }} as products
    cross join {{ source('control', 'run_parameters') }} as run
    where {{ is_in_force('products', 'run.as_of_date') }}
),

named as (
    select product_code from in_force
    union
    select product_code from {{ ref('dim_loans') }} where product_code is not null
)

select
    {{ hash_key('named.product_code') }} as product_key,
    named.product_code,
    in_force.line_code,
    coalesce(in_force.label_es, named.product_code) as label_es,
    coalesce(in_force.label_en, named.product_code) as label_en
from named
left join in_force on named.product_code = in_force.product_code
union all
{{ unknown_member(['product_code', 'label_es', 'label_en']) }}
