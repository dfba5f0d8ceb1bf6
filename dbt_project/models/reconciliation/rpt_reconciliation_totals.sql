{{ config(schema='reporting', materialized='table', contract={'enforced': true}) }}

-- Groups of open loans, ours beside the core's: its control totals at every level at which it gives them, and the sums of
-- its balances by branch and product. Inside, '' stands for a loan without branch or product.
with totals as (
    select
        'control_totals' as source_code,
        totals.as_of_date,
        totals.branch_id,
        totals.product_code,
        cast(totals.loan_count as bigint) as loan_count,
        totals.outstanding_principal_amount,
        totals.arrears_amount
    from {{ ref('stg_core__control_totals') }} as totals
    inner join (
        select max(known.as_of_date) as as_of_date
        from {{ ref('stg_core__control_totals') }} as known
        cross join {{ source('control', 'run_parameters') }} as run
        where known.as_of_date <= run.as_of_date
    ) as newest on totals.as_of_date = newest.as_of_date

    union all

    select
        'loan_balances',
        as_of_date,
        coalesce(branch_id, ''),
        coalesce(product_code, ''),
        count(*),
        sum(core_outstanding_principal_amount),
        sum(core_arrears_amount)
    from {{ ref('fct_loan_reconciliation') }}
    where is_compared
    group by as_of_date, coalesce(branch_id, ''), coalesce(product_code, '')
),

levels as (
    select distinct
        source_code,
        as_of_date,
        branch_id = '*' as is_every_branch,
        product_code = '*' as is_every_product
    from totals
),

ours as (
    select
        levels.source_code,
        levels.as_of_date,
        case when levels.is_every_branch then '*' else coalesce(states.branch_id, '') end as branch_id,
        case when levels.is_every_product then '*' else coalesce(states.product_code, '') end as product_code,
        count(*) as loan_count,
        sum(states.outstanding_principal_amount) as outstanding_principal_amount,
        sum(states.arrears_amount) as arrears_amount
    from levels
    inner join {{ ref('int_reconciliation__states') }} as states on levels.as_of_date = states.as_of_date
    where states.loan_status_code = 'active'
    group by 1, 2, 3, 4
),

compared as (
    select
        coalesce(totals.source_code, ours.source_code) as source_code,
        coalesce(totals.as_of_date, ours.as_of_date) as as_of_date,
        coalesce(totals.branch_id, ours.branch_id) as branch_id,
        coalesce(totals.product_code, ours.product_code) as product_code,
        totals.source_code is not null as is_in_core,
        ours.source_code is not null as is_ours,
        coalesce(ours.loan_count, 0) as loan_count,
        totals.loan_count as core_loan_count,
        coalesce(ours.outstanding_principal_amount, 0) as outstanding_principal_amount,
        totals.outstanding_principal_amount as core_outstanding_principal_amount,
        coalesce(ours.arrears_amount, 0) as arrears_amount,
        totals.arrears_amount as core_arrears_amount
    from totals
    full join ours
        on totals.source_code = ours.source_code
        and totals.as_of_date = ours.as_of_date
        and totals.branch_id = ours.branch_id
        and totals.product_code = ours.product_code
)

select
    source_code,
    as_of_date,
    nullif(branch_id, '') as branch_id,
    nullif(product_code, '') as product_code,
    case
        when not is_in_core then 'missing'
        when not is_ours then 'surplus'
        when
            coalesce(core_loan_count, loan_count) = loan_count
            and coalesce(core_outstanding_principal_amount, outstanding_principal_amount) = outstanding_principal_amount
            and coalesce(core_arrears_amount, arrears_amount) = arrears_amount
            then 'equal'
        else 'different'
    end as status_code,
    cast(loan_count as bigint) as loan_count,
    cast(core_loan_count as bigint) as core_loan_count,
    cast(core_loan_count - loan_count as bigint) as loan_count_difference,
    {{ money('outstanding_principal_amount') }} as outstanding_principal_amount,
    {{ money('core_outstanding_principal_amount') }} as core_outstanding_principal_amount,
    {{ money('core_outstanding_principal_amount - outstanding_principal_amount') }}
        as outstanding_principal_difference_amount,
    {{ money('arrears_amount') }} as arrears_amount,
    {{ money('core_arrears_amount') }} as core_arrears_amount,
    {{ money('core_arrears_amount - arrears_amount') }} as arrears_difference_amount
from compared
