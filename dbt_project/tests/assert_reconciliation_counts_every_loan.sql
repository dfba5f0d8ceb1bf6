{{ config(meta={'dagster': {'ref': {'name': 'rpt_reconciliation'}}}) }}
-- Each compared loan is reconciled, explained or unexplained, and each difference stands under one cause.
select verdict.as_of_date
from {{ ref('rpt_reconciliation') }} as verdict
cross join (select sum(loan_count) as loan_count from {{ ref('rpt_reconciliation_causes') }}) as causes
where
    verdict.compared_count <> verdict.reconciled_count + verdict.explained_count + verdict.unexplained_count
    or causes.loan_count <> verdict.explained_count + verdict.unexplained_count + verdict.balance_missing_count
