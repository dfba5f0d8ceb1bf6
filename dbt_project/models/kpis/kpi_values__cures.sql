-- K14 to K16, counted in loans. Each figure looks back as far as it must to know its outcome, so that what is true of a
-- date stays true: the cohort of K14 is what was past due one horizon before the date (and the stay before that).
{% set horizon = var('cure_horizon_days') %}
{% set stay = var('cure_stay_days') %}
{% set redefault = var('redefault_days') %}

with periods as (
    select
        period_code,
        opening_date as from_date,
        as_of_date
    from {{ ref('kpi_periods') }}
    where period_code in ('month', 'week')
),

spells as (
    select
        spells.*,
        lifespans.customer_id,
        lifespans.branch_id,
        lifespans.product_code,
        branches.province
    from {{ ref('int_loans__arrears_spells') }} as spells
    inner join {{ ref('int_loans__lifespans') }} as lifespans on spells.loan_id = lifespans.loan_id
    left join {{ ref('dim_branches') }} as branches on lifespans.branch_id = branches.branch_id
),

readings as (
    select 'loose' as reading_code, 0 as stay_days
    union all
    select 'strict' as reading_code, {{ stay }} as stay_days
),

cohorts as (
    select
        periods.period_code,
        periods.as_of_date,
        readings.reading_code,
        readings.stay_days,
        {{ add_days('periods.as_of_date', '- (' ~ horizon ~ ' + readings.stay_days)') }} as cohort_date
    from periods
    cross join readings
),

past_due as (
    select
        cohort_dates.cohort_date,
        spells.loan_id,
        spells.branch_id,
        spells.product_code,
        spells.province
    from (select distinct cohort_date from cohorts) as cohort_dates
    inner join spells
        on cohort_dates.cohort_date >= spells.entered_date
        and cohort_dates.cohort_date < spells.left_date
),

oldest as (
    select
        past_due.cohort_date,
        past_due.loan_id,
        past_due.branch_id,
        past_due.product_code,
        past_due.province,
        {{ days_between('min(spans.due_date)', 'past_due.cohort_date') }}
            + {{ past_due_shift() }} as past_due_days
    from past_due
    inner join {{ ref('int_installments__past_due_spans') }} as spans
        on past_due.loan_id = spans.loan_id
        and past_due.cohort_date >= spans.past_due_from_date
        and past_due.cohort_date < spans.past_due_to_date
    group by past_due.cohort_date, past_due.loan_id, past_due.branch_id, past_due.product_code, past_due.province
),

outcomes as (
    select
        cohorts.period_code,
        cohorts.as_of_date,
        cohorts.reading_code,
        oldest.loan_id,
        oldest.branch_id,
        oldest.product_code,
        oldest.province,
        oldest.past_due_days,
        max(case
            when spells.is_cure and spells.next_entered_date >= {{ add_days('spells.left_date', 'cohorts.stay_days') }} then 1
            else 0
        end) as is_cured
    from cohorts
    inner join oldest on cohorts.cohort_date = oldest.cohort_date
    left join spells
        on oldest.loan_id = spells.loan_id
        and spells.left_date > oldest.cohort_date
        and spells.left_date <= {{ add_days('oldest.cohort_date', horizon) }}
    group by
        cohorts.period_code,
        cohorts.as_of_date,
        cohorts.reading_code,
        oldest.loan_id,
        oldest.branch_id,
        oldest.product_code,
        oldest.province,
        oldest.past_due_days
),

cures as (
    select
        outcomes.period_code,
        outcomes.as_of_date,
        outcomes.branch_id,
        outcomes.product_code,
        outcomes.province,
        ladders.bucket_code,
        ladders.segment_code,
        outcomes.reading_code,
        1 as loan_count,
        outcomes.is_cured
    from outcomes
    inner join {{ ref('int_past_due_days__ladders') }} as ladders
        on {{ ladder_day('outcomes.past_due_days') }} = ladders.past_due_days
),

strict_cures as (
    select * from cures where reading_code = 'strict'
),

loose_cures as (
    select * from cures where reading_code = 'loose'
),

-- A spell is judged on the day its horizon ends, whenever it ended itself.
entered as (
    select
        spells.loan_id,
        spells.spell_no,
        spells.customer_id,
        spells.branch_id,
        spells.product_code,
        spells.province,
        spells.entered_date,
        {{ add_days('spells.entered_date', horizon) }} as judged_date,
        case
            when spells.is_cure and spells.left_date <= {{ add_days('spells.entered_date', horizon) }} then spells.left_date
        end as cured_date
    from spells
    cross join {{ source('control', 'run_parameters') }} as run
    where {{ add_days('spells.entered_date', horizon) }} <= run.as_of_date
),

-- Which channels are a person's is data: reference.channels.
human as (
    select
        interactions.customer_id,
        interactions.occurred_date,
        max(case when interactions.is_contact then 1 else 0 end) as is_contact
    from {{ ref('fct_interactions') }} as interactions
    inner join {{ ref('channels') }} as channels on interactions.channel_code = channels.channel_code
    where channels.is_human
    group by interactions.customer_id, interactions.occurred_date
),

helped as (
    select
        entered.loan_id,
        entered.spell_no,
        max(human.is_contact) as is_contact
    from entered
    inner join human
        on entered.customer_id = human.customer_id
        and human.occurred_date >= entered.entered_date
        and human.occurred_date <= entered.cured_date
    group by entered.loan_id, entered.spell_no
),

judged as (
    select
        periods.period_code,
        periods.as_of_date,
        entered.branch_id,
        entered.product_code,
        entered.province,
        1 as spell_count,
        case when entered.cured_date is not null and helped.loan_id is null then 1 else 0 end as self_cured_count,
        case when entered.cured_date is not null and coalesce(helped.is_contact, 0) = 0 then 1 else 0 end as uncontacted_cured_count
    from entered
    inner join periods
        on entered.judged_date > periods.from_date
        and entered.judged_date <= periods.as_of_date
    left join helped
        on entered.loan_id = helped.loan_id
        and entered.spell_no = helped.spell_no
),

-- Paid-off loans cannot come back: they are no part of K16.
cured_spells as (
    select
        spells.loan_id,
        spells.spell_no,
        spells.branch_id,
        spells.product_code,
        spells.province,
        spells.left_date,
        {{ add_days('spells.left_date', redefault) }} as judged_date
    from spells
    cross join {{ source('control', 'run_parameters') }} as run
    where spells.exit_code = 'cured' and {{ add_days('spells.left_date', redefault) }} <= run.as_of_date
),

-- A cured loan stands where it stood on its last past-due day.
cured_days as (
    select
        cured_spells.loan_id,
        cured_spells.spell_no,
        {{ days_between('min(spans.due_date)', 'cured_spells.left_date') }} - 1 + {{ past_due_shift() }} as past_due_days
    from cured_spells
    inner join {{ ref('int_installments__past_due_spans') }} as spans
        on cured_spells.loan_id = spans.loan_id
        and spans.past_due_from_date < cured_spells.left_date
        and spans.past_due_to_date >= cured_spells.left_date
    group by cured_spells.loan_id, cured_spells.spell_no, cured_spells.left_date
),

cured as (
    select
        cured_spells.*,
        ladders.segment_code
    from cured_spells
    left join cured_days
        on cured_spells.loan_id = cured_days.loan_id
        and cured_spells.spell_no = cured_days.spell_no
    left join {{ ref('int_past_due_days__ladders') }} as ladders
        on {{ ladder_day('cured_days.past_due_days') }} = ladders.past_due_days
),

late_again as (
    select distinct
        cured.loan_id,
        cured.spell_no
    from cured
    inner join {{ ref('int_installments__past_due_spans') }} as spans
        on cured.loan_id = spans.loan_id
        and greatest(
            spans.past_due_from_date,
            {{ add_days('spans.due_date', 30 - past_due_shift()) }}
        ) between cured.left_date and cured.judged_date
        and {{ add_days('spans.due_date', 30 - past_due_shift()) }}
            < spans.past_due_to_date
),

returns as (
    select
        periods.period_code,
        periods.as_of_date,
        cured.branch_id,
        cured.product_code,
        cured.province,
        cured.segment_code,
        1 as cured_count,
        case when late_again.loan_id is not null then 1 else 0 end as late_again_count
    from cured
    inner join periods
        on cured.judged_date > periods.from_date
        and cured.judged_date <= periods.as_of_date
    left join late_again
        on cured.loan_id = late_again.loan_id
        and cured.spell_no = late_again.spell_no
)

-- Nearly everyone enters arrears on the first past-due day: K15 has no segments.
{% set grains = ['total', 'branch', 'product', 'branch_product', 'province'] -%}
{{ kpi_grain_rows('strict_cures', [['K14_STRICT', 'is_cured', 'loan_count']], grains + ['segment', 'bucket']) }}
union all
{{ kpi_grain_rows('loose_cures', [['K14_LOOSE', 'is_cured', 'loan_count']], grains + ['segment', 'bucket']) }}
union all
{{ kpi_grain_rows(
    'judged',
    [['K15', 'self_cured_count', 'spell_count'], ['K15_NO_CONTACT', 'uncontacted_cured_count', 'spell_count']],
    grains,
) }}
union all
{{ kpi_grain_rows('returns', [['K16', 'late_again_count', 'cured_count']], grains + ['segment']) }}
