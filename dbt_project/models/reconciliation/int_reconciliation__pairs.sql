{{ config(schema='intermediate', materialized='table') }}

-- The core's balances of the newest day beside our figures of it. A loan that the core does not name is a pair when we
-- hold it active and it still owes something.
with balances as (
    select balances.*
    from {{ ref('stg_core__loan_balances') }} as balances
    inner join (
        select max(known.as_of_date) as as_of_date
        from {{ ref('stg_core__loan_balances') }} as known
        cross join {{ source('control', 'run_parameters') }} as run
        where known.as_of_date <= run.as_of_date
    ) as newest on balances.as_of_date = newest.as_of_date
),

ours as (
    select states.*
    from {{ ref('int_reconciliation__states') }} as states
    inner join (select distinct as_of_date from balances) as days on states.as_of_date = days.as_of_date
),

paired as (
    select
        coalesce(balances.as_of_date, ours.as_of_date) as as_of_date,
        coalesce(balances.loan_id, ours.loan_id) as loan_id,
        ours.customer_id,
        ours.branch_id,
        ours.product_code,
        ours.installment_count,
        ours.paid_amount,
        ours.loan_status_code,
        ours.arrears_amount,
        ours.outstanding_principal_amount,
        ours.past_due_days,
        balances.arrears_amount as core_arrears_amount,
        balances.outstanding_principal_amount as core_outstanding_principal_amount,
        balances.past_due_days as core_past_due_days,
        ours.loan_id is not null as is_ours,
        balances.loan_id is not null
        and (
            balances.arrears_amount is not null
            or balances.outstanding_principal_amount is not null
            or balances.past_due_days is not null
        ) as is_compared
    from balances
    full join ours on balances.loan_id = ours.loan_id
)

select
    paired.*,
    paired.is_ours
    and paired.is_compared
    and {{ agrees('core_arrears_amount', 'arrears_amount') }}
    and {{ agrees('core_outstanding_principal_amount', 'outstanding_principal_amount') }}
    and coalesce(core_past_due_days, past_due_days) = past_due_days as is_reconciled
from paired
where
    is_compared
    or (loan_status_code = 'active' and (outstanding_principal_amount > 0 or arrears_amount > 0))
