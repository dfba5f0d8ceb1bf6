{{ config(materialized='incremental', incremental_strategy='replace', meta={'replaced': [
    "replaced.as_of_date not in (
        select as_of_date from control.as_of_dates where is_score or is_month_end or is_week_end or is_day
    )",
    "replaced.as_of_date in (select as_of_date from intermediate.int_changes__as_of_dates)",
]}) }}
{%- set table_code = "'" ~ var('rating_table') ~ "'" -%}
{%- set reading_code = "'" ~ var('reclassification_reading') ~ "'" -%}
{#- With due_day_is_past_due the due day itself is day 1, so a due date is one day older than the difference of dates says. -#}
{%- set first_day = 1 if var('due_day_is_past_due', false) else 0 -%}
-- The portfolio at the end of each kept day, as sums that add up over any of its dimensions (never over dates).
with loans as (
    select states.*
    from {{ ref('fct_loan_as_of') }} as states
    where
        states.loan_status_code <> 'closed'
        and states.as_of_date in (select as_of_date from {{ ref('int_changes__as_of_dates') }})
),

-- Ladders are joined once per date, product and number of days, not once per loan.
cells as (
    select distinct as_of_date, product_code, past_due_days
    from loans
),

rungs as (
    select
        cells.as_of_date,
        cells.product_code,
        cells.past_due_days,
        bands.band_code,
        ratings.category_code as rating_code,
        ratings.provision_share,
        reclassification.after_days
    from cells
    left join {{ ref('products') }} as products
        on cells.product_code = products.product_code
        and {{ is_in_force('products', 'cells.as_of_date') }}
    left join {{ ref('ageing_ladders') }} as bands
        on bands.ladder_code = 'EC-SEPS'
        and {{ is_in_force('bands', 'cells.as_of_date') }}
        and cells.past_due_days >= bands.min_days
        and (bands.max_days is null or cells.past_due_days <= bands.max_days)
    left join {{ ref('rating_tables') }} as ratings
        on ratings.table_code = {{ table_code }}
        and products.line_code = ratings.line_code
        and {{ is_in_force('ratings', 'cells.as_of_date') }}
        and cells.past_due_days >= ratings.min_days
        and (ratings.max_days is null or cells.past_due_days <= ratings.max_days)
    -- A loan without a known line is reclassified as a consumer loan.
    left join {{ ref('reclassification_days') }} as reclassification
        on reclassification.reading_code = {{ reading_code }}
        and coalesce(products.line_code, 'consumo') = reclassification.line_code
        and {{ is_in_force('reclassification', 'cells.as_of_date') }}
),

classified as (
    select
        loans.*,
        rungs.band_code,
        rungs.rating_code,
        rungs.provision_share,
        rungs.after_days,
        loans.loan_status_code = 'active' as is_active,
        loans.loan_status_code = 'active' and loans.past_due_days > rungs.after_days as is_unproductive
    from loans
    inner join rungs
        on loans.as_of_date = rungs.as_of_date
        and loans.past_due_days = rungs.past_due_days
        and coalesce(loans.product_code, '') = coalesce(rungs.product_code, '')
),

-- Principal of the instalments that alone are older than the threshold. Payments meet the oldest instalment first, so what
-- is unpaid of the first ones is their principal less all that was covered.
overdue as (
    select
        classified.as_of_date,
        classified.loan_id,
        greatest(
            max(installments.cumulative_principal_amount)
            - (max(lifespans.scheduled_principal_amount) - max(classified.outstanding_principal_amount)),
            0
        ) as overdue_amount
    from classified
    inner join {{ ref('int_loans__lifespans') }} as lifespans on classified.loan_id = lifespans.loan_id
    inner join {{ ref('int_installments__scheduled') }} as installments
        on classified.loan_id = installments.loan_id
        and {{ days_between('installments.due_date', 'classified.as_of_date') }} + {{ first_day }} > classified.after_days
    where classified.is_unproductive
    group by classified.as_of_date, classified.loan_id
),

measured as (
    select
        classified.*,
        case when classified.is_active then classified.outstanding_principal_amount else 0 end as balance_amount,
        case when classified.is_unproductive then coalesce(overdue.overdue_amount, 0) else 0 end as overdue_amount,
        case when classified.is_unproductive then classified.outstanding_principal_amount else 0 end as unproductive_amount
    from classified
    left join overdue
        on classified.as_of_date = overdue.as_of_date
        and classified.loan_id = overdue.loan_id
)

select
    as_of_date,
    branch_id,
    product_code,
    segment_code,
    bucket_code,
    band_code,
    rating_code,
    cast(sum(case when is_active then 1 else 0 end) as bigint) as active_loan_count,
    cast(sum(case when is_active and past_due_days > 0 then 1 else 0 end) as bigint) as past_due_loan_count,
    cast(sum(case when is_active and past_due_days > 90 then 1 else 0 end) as bigint) as past_due_90_loan_count,
    {{ money('sum(balance_amount)') }} as gross_amount,
    {{ money('sum(case when is_active then arrears_amount else 0 end)') }} as arrears_amount,
    {{ money('sum(overdue_amount)') }} as overdue_amount,
    {{ money('sum(unproductive_amount - overdue_amount)') }} as non_accrual_amount,
    {{ money('sum(unproductive_amount)') }} as unproductive_amount,
    {% for days in [0, 1, 30, 60, 90, 180] -%}
    {{ money('sum(case when past_due_days > ' ~ days ~ ' then balance_amount else 0 end)') }} as past_due_{{ days }}_amount,
    {% endfor -%}
    {{ money('sum(case when past_due_days > 30 or is_restructured then balance_amount else 0 end)') }}
        as past_due_30_or_restructured_amount,
    {{ money('sum(case when is_restructured then balance_amount else 0 end)') }} as restructured_amount,
    {{ money('sum(case when is_restructured and past_due_days > 30 then balance_amount else 0 end)') }}
        as restructured_past_due_30_amount,
    {{ money('sum(case when provision_share is not null then balance_amount else 0 end)') }} as rated_amount,
    cast(sum(coalesce(balance_amount * provision_share, 0)) as numeric(18, 4)) as required_provision_amount,
    cast(sum(case when is_active then 0 else 1 end) as bigint) as written_off_loan_count,
    {{ money('sum(case when is_active then 0 else outstanding_principal_amount end)') }} as written_off_stock_amount
from measured
group by as_of_date, branch_id, product_code, segment_code, bucket_code, band_code, rating_code
