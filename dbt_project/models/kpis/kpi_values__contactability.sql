-- K51: persons to be worked who can be reached without a visit. Contact points have no history, so only the run's own date is
-- known. An unknown consent is counted in the first reading and not in the second. A consent counts from its day on and
-- lifts an opt-out before it, as the contact rules have it.
with run as (
    select as_of_date from {{ source('control', 'run_parameters') }}
),

points as (
    select
        points.customer_id,
        max(case when coalesce(points.has_consent, true) then 1 else 0 end) as is_not_refused,
        max(
            case
                when
                    coalesce(points.has_consent, false)
                    and (points.consent_at is null or {{ local_date('points.consent_at') }} <= run.as_of_date)
                    then 1
                else 0
            end
        ) as is_consented
    from {{ ref('dim_contact_points') }} as points
    cross join run
    where
        points.is_valid
        and points.kind_code <> 'address'
        and {{ reaches_an_obligor('points') }}
        and (
            points.opted_out_at is null
            or {{ local_date('points.opted_out_at') }} > run.as_of_date
            or (
                points.has_consent
                and points.consent_at > points.opted_out_at
                and {{ local_date('points.consent_at') }} <= run.as_of_date
            )
        )
    group by points.customer_id
),

ranked as (
    select
        loans.as_of_date,
        loans.customer_id,
        loans.branch_id,
        loans.product_code,
        loans.segment_code,
        row_number() over (
            partition by loans.customer_id
            order by loans.past_due_days desc nulls last, loans.arrears_amount desc nulls last, loans.loan_id
        ) as loan_rank
    from {{ ref('fct_loan_as_of') }} as loans
    inner join run on loans.as_of_date = run.as_of_date
    where loans.loan_status_code = 'active' and loans.past_due_days > 0
),

cells as (
    select
        periods.period_code,
        periods.as_of_date,
        ranked.branch_id,
        ranked.product_code,
        ranked.segment_code,
        branches.province,
        count(*) as workable_person_count,
        sum(coalesce(points.is_not_refused, 0)) as not_refused_person_count,
        sum(coalesce(points.is_consented, 0)) as consented_person_count
    from ranked
    inner join {{ ref('kpi_periods') }} as periods on ranked.as_of_date = periods.as_of_date
    left join points on ranked.customer_id = points.customer_id
    left join {{ ref('dim_branches') }} as branches on ranked.branch_id = branches.branch_id
    where ranked.loan_rank = 1
    group by
        periods.period_code,
        periods.as_of_date,
        ranked.branch_id,
        ranked.product_code,
        ranked.segment_code,
        branches.province
)

{{ kpi_grain_rows('cells', [
    ['K51', 'not_refused_person_count', 'workable_person_count'],
    ['K51_CONSENTED', 'consented_person_count', 'workable_person_count'],
], ['total', 'branch', 'product', 'segment', 'branch_product', 'province']) }}
