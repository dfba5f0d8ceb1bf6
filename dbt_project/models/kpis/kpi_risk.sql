-- Expected loss of the scored loans at the end of each scored day that is kept.
with scored as (
    select
        states.as_of_date,
        states.branch_id,
        states.product_code,
        states.segment_code,
        states.bucket_code,
        states.outstanding_principal_amount as exposure_amount,
        -- A millionth is the same on every engine; more digits of a double are not.
        cast(scores.default_probability as numeric(7, 6)) as default_probability,
        losses.loss_share
    from {{ source('ml', 'default_risk_scores') }} as scores
    inner join {{ ref('fct_loan_as_of') }} as states
        on scores.as_of_date = states.as_of_date
        and scores.loan_id = states.loan_id
        and states.loan_status_code = 'active'
    inner join {{ ref('dim_loans') }} as loans on states.loan_id = loans.loan_id
    inner join {{ ref('loss_given_default') }} as losses
        on coalesce(loans.collateral_code, 'none') = losses.collateral_code
        and {{ is_in_force('losses', 'states.as_of_date') }}
)

select
    as_of_date,
    branch_id,
    product_code,
    segment_code,
    bucket_code,
    cast(count(*) as bigint) as scored_loan_count,
    {{ money('sum(exposure_amount)') }} as exposure_amount,
    cast(sum(exposure_amount * cast(default_probability * loss_share as numeric(11, 10))) as numeric(18, 6)) as expected_loss_amount
from scored
group by as_of_date, branch_id, product_code, segment_code, bucket_code
