{{ config(schema='reporting', materialized='table', contract={'enforced': true}) }}

-- Every cause has its row, also one that nothing had, so that a quiet day can be told from a missing file.
select
    run.as_of_date,
    causes.cause_code,
    causes.rule_no,
    causes.is_explained,
    cast(count(loans.loan_id) as bigint) as loan_count,
    {{ money('coalesce(sum(abs(loans.arrears_difference_amount)), 0)') }} as arrears_difference_amount,
    {{ money('coalesce(sum(abs(loans.outstanding_principal_difference_amount)), 0)') }}
        as outstanding_principal_difference_amount
from {{ ref('reconciliation_causes') }} as causes
cross join {{ source('control', 'run_parameters') }} as run
left join {{ ref('fct_loan_reconciliation') }} as loans on causes.cause_code = loans.cause_code
group by run.as_of_date, causes.cause_code, causes.rule_no, causes.is_explained
