{{ config(schema='intermediate', materialized='table') }}

-- The schedules of the loans that differ: the one in force is number 0, an earlier one has the number of the last load
-- of which it was made.
with cases as (
    select distinct loan_id
    from {{ ref('int_reconciliation__pairs') }}
    where is_ours and is_compared and not is_reconciled and loan_status_code <> 'closed'
),

versions as (
    select
        installments.loan_id,
        installments.installment_no,
        installments.due_on,
        coalesce(installments.principal_due, 0) as principal_due_amount,
        coalesce(installments.interest_due, 0) as interest_due_amount,
        coalesce(installments.fees_due, 0) as fees_due_amount,
        installments._load_id as load_id,
        installments._source_row as source_row,
        coalesce(installments._is_deleted, false) as is_deleted
    from {{ source('raw', 'installments') }} as installments
    inner join cases on installments.loan_id = cases.loan_id
),

loads as (
    select
        loan_id,
        load_id,
        max(load_id) over (partition by loan_id) as newest_load_id
    from (select distinct loan_id, load_id from versions) as known
),

ranked as (
    select
        versions.*,
        loads.load_id as schedule_no,
        row_number() over (
            partition by versions.loan_id, loads.load_id, versions.installment_no
            order by versions.load_id desc nulls last, versions.source_row desc nulls last
        ) as version_rank
    from versions
    inner join loads
        on versions.loan_id = loads.loan_id
        and versions.load_id <= loads.load_id
    where loads.load_id < loads.newest_load_id
),

schedules as (
    select
        installments.loan_id,
        cast(0 as bigint) as schedule_no,
        installments.installment_no,
        installments.due_date,
        installments.principal_due_amount,
        installments.interest_due_amount,
        installments.fees_due_amount
    from {{ ref('int_installments__scheduled') }} as installments
    inner join cases on installments.loan_id = cases.loan_id

    union all

    select
        loan_id,
        schedule_no,
        installment_no,
        due_on,
        principal_due_amount,
        interest_due_amount,
        fees_due_amount
    from ranked
    where version_rank = 1 and not is_deleted
)

select
    schedules.*,
    {{ money('principal_due_amount + interest_due_amount + fees_due_amount') }} as due_amount,
    {{ money('sum(principal_due_amount + interest_due_amount + fees_due_amount) over (
        partition by loan_id, schedule_no
        order by due_date, installment_no
        rows between unbounded preceding and current row
    )') }} as cumulative_due_amount
from schedules
