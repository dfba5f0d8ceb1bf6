{{ config(meta={'dagster': {'ref': {'name': 'rpt_arrears_movement'}}}) }}
-- What a period opens and closes with is what the portfolio shows on those dates.
with portfolio as (
    select as_of_date, sum(arrears_amount) as arrears_amount
    from {{ ref('rpt_portfolio') }}
    group by as_of_date
),

movements as (
    select
        from_date,
        as_of_date,
        sum(opening_amount) as opening_amount,
        sum(closing_amount) as closing_amount
    from {{ ref('rpt_arrears_movement') }}
    group by from_date, as_of_date
)

select movements.*
from movements
left join portfolio as opening on movements.from_date = opening.as_of_date
left join portfolio as closing on movements.as_of_date = closing.as_of_date
where
    movements.opening_amount <> coalesce(opening.arrears_amount, 0)
    or movements.closing_amount <> coalesce(closing.arrears_amount, 0)
