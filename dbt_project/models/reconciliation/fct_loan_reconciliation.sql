{{ config(schema='marts', materialized='table', contract={'enforced': true}) }}

with pairs as (
    select
        pairs.*,
        {{ agrees('core_arrears_amount', 'arrears_amount') }} as is_arrears_equal,
        {{ agrees('core_outstanding_principal_amount', 'outstanding_principal_amount') }} as is_principal_equal,
        coalesce(core_past_due_days, past_due_days) - past_due_days as days_difference,
        -- A cent an instalment, and five in any case.
        greatest(0.01 * installment_count, 0.05) as rounding_amount
    from {{ ref('int_reconciliation__pairs') }} as pairs
),

-- Rules 2 to 5: what the core's figures would follow from. Of several, the lowest rule and the first evidence.
found as (
    select
        pairs.loan_id,
        hypotheses.cause_code,
        hypotheses.evidence,
        row_number() over (
            partition by pairs.loan_id
            order by causes.rule_no, {{ bytewise("coalesce(hypotheses.evidence, '')") }}
        ) as place
    from pairs
    inner join {{ ref('int_reconciliation__hypotheses') }} as hypotheses on pairs.loan_id = hypotheses.loan_id
    inner join {{ ref('reconciliation_causes') }} as causes on hypotheses.cause_code = causes.cause_code
    where
        {{ agrees('pairs.core_outstanding_principal_amount', 'hypotheses.outstanding_principal_amount') }}
        and case
            when hypotheses.cause_code = 'off_by_one' then
                abs(pairs.days_difference) <= 1
                and (
                    {{ agrees('pairs.core_arrears_amount', 'hypotheses.arrears_before_day_amount') }}
                    or {{ agrees('pairs.core_arrears_amount', 'hypotheses.arrears_through_day_amount') }}
                )
            else
                {{ agrees(
                    'pairs.core_arrears_amount',
                    'hypotheses.arrears_through_day_amount'
                    if var('due_day_is_past_due') else 'hypotheses.arrears_before_day_amount',
                ) }}
                and coalesce(pairs.core_past_due_days, hypotheses.past_due_days) = hypotheses.past_due_days
                -- Days alone follow from too many things to prove one of them.
                and coalesce(pairs.core_arrears_amount, pairs.core_outstanding_principal_amount) is not null
        end
),

rejected_loans as (
    select distinct row_key as loan_id
    from {{ source('raw', 'rejected_rows') }}
    where table_name = 'loans'
),

judged as (
    select
        pairs.*,
        found.evidence,
        case
            when pairs.is_reconciled then null
            when not pairs.is_compared then 'balance_missing'
            when not pairs.is_ours and rejected_loans.loan_id is not null then 'loan_rejected'
            when not pairs.is_ours then 'loan_unknown'
            when
                pairs.days_difference = 0
                and abs(coalesce(pairs.core_arrears_amount - pairs.arrears_amount, 0)) <= pairs.rounding_amount
                and abs(coalesce(pairs.core_outstanding_principal_amount - pairs.outstanding_principal_amount, 0))
                <= pairs.rounding_amount
                then 'rounding'
            when abs(pairs.days_difference) = 1 and pairs.is_arrears_equal and pairs.is_principal_equal then 'off_by_one'
            when found.cause_code is not null then found.cause_code
            when pairs.loan_status_code = 'closed' then 'status'
            when
                coalesce(pairs.core_arrears_amount, 0) = 0
                and coalesce(pairs.core_outstanding_principal_amount, 0) = 0
                and coalesce(pairs.core_past_due_days, 0) = 0
                and pairs.core_outstanding_principal_amount is not null
                then 'status'
            else 'unknown'
        end as cause_code
    from pairs
    left join found on pairs.loan_id = found.loan_id and found.place = 1
    left join rejected_loans on pairs.loan_id = rejected_loans.loan_id
)

select
    judged.as_of_date,
    judged.loan_id,
    judged.customer_id,
    judged.branch_id,
    judged.product_code,
    judged.loan_status_code,
    judged.arrears_amount,
    {{ money('judged.core_arrears_amount') }} as core_arrears_amount,
    {{ money('judged.core_arrears_amount - judged.arrears_amount') }} as arrears_difference_amount,
    judged.outstanding_principal_amount,
    {{ money('judged.core_outstanding_principal_amount') }} as core_outstanding_principal_amount,
    {{ money('judged.core_outstanding_principal_amount - judged.outstanding_principal_amount') }}
        as outstanding_principal_difference_amount,
    judged.past_due_days,
    cast(judged.core_past_due_days as bigint) as core_past_due_days,
    cast(judged.core_past_due_days - judged.past_due_days as bigint) as past_due_days_difference,
    judged.is_compared,
    judged.is_reconciled,
    coalesce(judged.is_reconciled or causes.is_explained, false) as is_explained,
    judged.cause_code,
    case when causes.rule_no between 2 and 5 then judged.evidence end as evidence
from judged
left join {{ ref('reconciliation_causes') }} as causes on judged.cause_code = causes.cause_code
