{{ config(schema='reporting', materialized='table', contract={'enforced': true}) }}

with loans as (
    select
        max(as_of_date) as balance_date,
        count(case when is_compared then 1 end) as compared_count,
        count(case when is_reconciled then 1 end) as reconciled_count,
        count(case when is_compared and not is_reconciled and is_explained then 1 end) as explained_count,
        count(case when is_compared and not is_explained then 1 end) as unexplained_count,
        -- Whatever the cause: a file of zeros makes every loan one of another status, and explains it.
        count(case
            when is_compared and not is_reconciled and cause_code not in ('rounding', 'off_by_one') then 1
        end) as different_count,
        count(case when loan_status_code = 'active' then 1 end) as active_count,
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
        {{ ratio('loans.different_count', 'loans.compared_count') }} as different_share,
        cast({{ var('reconciliation_max_different_share') }} as double precision) as allowed_different_share,
        {{ ratio('loans.balance_missing_count', 'loans.active_count') }} as missing_share,
        cast({{ var('reconciliation_max_missing_share') }} as double precision) as allowed_missing_share,
        {{ days_between('loans.balance_date', 'run.as_of_date') }} as balance_age_days,
        {{ days_between('totals.totals_date', 'run.as_of_date') }} as totals_age_days,
        cast({{ var('reconciliation_max_age_days') }} as bigint) as allowed_age_days,
        cast({{ var('reconciliation_totals_tolerance') or 'null' }} as numeric(18, 2)) as totals_tolerance_amount,
        run.as_of_date
    from loans
    cross join totals
    cross join {{ source('control', 'run_parameters') }} as run
),

aged as (
    select
        measured.*,
        coalesce(balance_age_days > allowed_age_days, false) as is_balance_old,
        coalesce(totals_age_days > allowed_age_days, false) as is_totals_old
    from measured
),

-- Figures of a day long past say nothing of today's files: they are reported, and nothing is broken by them.
judged as (
    select
        aged.*,
        -- Totals are judged where a tolerance is set, or where they are all that there is.
        is_balance_old or (is_totals_old and (balance_date is null or totals_tolerance_amount is not null)) as is_stale,
        coalesce(unexplained_share > allowed_share, false) and not is_balance_old as is_share_broken,
        coalesce(different_share > allowed_different_share, false) and not is_balance_old as is_different_broken,
        coalesce(missing_share > allowed_missing_share, false) and not is_balance_old as is_missing_broken,
        totals_tolerance_amount is not null
        and total_count > 0
        and not is_totals_old
        and (unpaired_total_count > 0 or largest_total_difference_amount > totals_tolerance_amount) as is_total_broken
    from aged
)

select
    judged.as_of_date,
    case
        when judged.balance_date is null and judged.total_count = 0 then 'not_delivered'
        when
            judged.is_share_broken or judged.is_different_broken or judged.is_missing_broken or judged.is_total_broken
            then 'stopped'
        when judged.is_stale then 'stale'
        else 'passed'
    end as status_code,
    judged.balance_date,
    judged.balance_age_days,
    judged.totals_age_days,
    judged.allowed_age_days,
    judged.is_stale,
    cast(judged.compared_count as bigint) as compared_count,
    cast(judged.reconciled_count as bigint) as reconciled_count,
    cast(judged.explained_count as bigint) as explained_count,
    cast(judged.unexplained_count as bigint) as unexplained_count,
    cast(judged.balance_missing_count as bigint) as balance_missing_count,
    judged.unexplained_share,
    judged.allowed_share,
    judged.is_share_broken,
    cast(judged.different_count as bigint) as different_count,
    judged.different_share,
    judged.allowed_different_share,
    judged.is_different_broken,
    cast(judged.active_count as bigint) as active_count,
    judged.missing_share,
    judged.allowed_missing_share,
    judged.is_missing_broken,
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
