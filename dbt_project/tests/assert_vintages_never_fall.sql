{{ config(meta={'dagster': {'ref': {'name': 'rpt_vintages'}}}) }}
select *
from (
    select
        vintages.*,
        lag(defaulted_amount) over (
            partition by branch_id, product_code, cohort_month
            order by month_on_book
        ) as previous_amount
    from {{ ref('rpt_vintages') }} as vintages
) as cells
where defaulted_amount < previous_amount or defaulted_amount > disbursed_amount
