{{ config(schema='reporting', materialized='table', contract={'enforced': true}) }}

with loans as (
    select
        max(as_of_date) as balance_date,
        count(case when is_compared then 1 end) as compared_count,
        count(case when is_reconciled then 1 end) as reconciled_count,
        count(case when is_compared and not is_reconciled and is_explained then 1 end) as explained_count,
        count(case when is_compared and not is_explained then 1 end) as unexplained_count,
        count(case when not is_compared then 1 end) as balance_missing_count,
        coalesce(sum(case
            when is_compared and not is_explained
                then coalesce(abs(arrears_difference_amount), 0)
        end), 0) as unexplained_arrears_amount,
        coalesce(sum(case
            when is_compared and not is_explained
                then coalesce(abs(outstanding_principal_difference_amount), 0)
        end), 0) as unexplained_principal_amount
    from {{ ref('fct_loan_reconciliation') }}
),

totals as (
    select
        max(as_of_date) as totals_date,
        count(*) as total_count,
        count(case when status_code = 'equal' then 1 end) as equal_total_count,
        count(case when status_code in ('missing', 'surplus') then 1 end) as unpaired_total_count,
        coalesce(max(greatest(
            coalesce(abs(outstanding_principal_difference_amount), 0), coalesce(abs(arrears_difference_amount), 0)
        )), 0) as largest_total_difference_amount
    from {{ ref('rpt_reconciliation_totals') }}
    where source_code = 'control_totals'
),

measured as (
    select
        loans.*,
        totals.*,
        {{ ratio('loans.unexplained_count', 'loans.compared_count') }} as unexplained_share,
        cast({{ var('reconciliation_max_unexplained_share') }} as double precision) as allowed_share,
        cast({{ var('reconciliation_totals_tolerance') or 'null' }} as numeric(18, 2)) as totals_tolerance_amount
    from loans
    cross join totals
),

judged as (
    select
        measured.*,
        coalesce(unexplained_share > allowed_share, false) as is_share_broken,
        totals_tolerance_amount is not null
        and total_count > 0
        and (unpaired_total_count > 0 or largest_total_difference_amount > totals_tolerance_amount) as is_total_broken
    from measured
)

select
    run.as_of_date,
    case
        when judged.compared_count = 0 and judged.total_count = 0 then 'not_delivered'
        when judged.is_share_broken or judged.is_total_broken then 'stopped'
        else 'passed'
    end as status_code,
    judged.balance_date,
    cast(judged.compared_count as bigint) as compared_count,
    cast(judged.reconciled_count as bigint) as reconciled_count,
    cast(judged.explained_count as bigint) as explained_count,
    cast(judged.unexplained_count as bigint) as unexplained_count,
    cast(judged.balance_missing_count as bigint) as balance_missing_count,
    judged.unexplained_share,
    judged.allowed_share,
    judged.is_share_broken,
    {{ money('judged.unexplained_arrears_amount') }} as unexplained_arrears_amount,
    {{ money('judged.unexplained_principal_amount') }} as unexplained_principal_amount,
    judged.totals_date,
    cast(judged.total_count as bigint) as total_count,
    cast(judged.equal_total_count as bigint) as equal_total_count,
    cast(judged.unpaired_total_count as bigint) as unpaired_total_count,
    {{ money('judged.largest_total_difference_amount') }} as largest_total_difference_amount,
    judged.totals_tolerance_amount,
    judged.is_total_broken
from judged
cross join {{ source('control', 'run_parameters') }} as run
