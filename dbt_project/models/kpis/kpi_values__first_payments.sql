-- K19: instalments at the start of a loan, judged on the day on which they have been due for so long.
{% set readings = {
    'K19': [1, 1, var('first_payment_days')],
    'K19_FPD7': [1, 1, 7],
    'K19_2_OF_3': [2, 3, var('first_payment_days')],
} %}
{#- kpi_code: [at least so many, of the first so many instalments, not covered at the end of so many days after their due date] -#}

with periods as (
    select
        period_code,
        opening_date as from_date,
        as_of_date
    from {{ ref('kpi_periods') }}
    where period_code in ('month', 'week')
),

first_dues as (
    select
        loan_id,
        installment_rank,
        due_date
    from {{ ref('int_installments__scheduled') }}
    where installment_rank <= 3 and due_amount > 0
),

{% for code, reading in readings.items() %}
late_{{ loop.index }} as (
    select
        first_dues.loan_id,
        count(distinct first_dues.installment_rank) as late_count
    from first_dues
    inner join {{ ref('int_installments__past_due_spans') }} as spans
        on first_dues.loan_id = spans.loan_id
        and first_dues.installment_rank = spans.installment_rank
        and {{ add_days('first_dues.due_date', reading[2]) }} >= spans.past_due_from_date
        and {{ add_days('first_dues.due_date', reading[2]) }} < spans.past_due_to_date
    where first_dues.installment_rank <= {{ reading[1] }}
    group by first_dues.loan_id
),

judged_{{ loop.index }} as (
    select
        periods.period_code,
        periods.as_of_date,
        lifespans.branch_id,
        lifespans.product_code,
        branches.province,
        1 as loan_count,
        case when coalesce(late.late_count, 0) >= {{ reading[0] }} then 1 else 0 end as late_count
    from (
        select
            loan_id,
            {{ add_days('max(due_date)', reading[2]) }} as judged_date
        from first_dues
        where installment_rank <= {{ reading[1] }}
        group by loan_id
        having count(*) = {{ reading[1] }}
    ) as dues
    inner join periods
        on dues.judged_date > periods.from_date
        and dues.judged_date <= periods.as_of_date
    inner join {{ ref('int_loans__lifespans') }} as lifespans on dues.loan_id = lifespans.loan_id
    left join {{ ref('dim_branches') }} as branches on lifespans.branch_id = branches.branch_id
    left join late_{{ loop.index }} as late on dues.loan_id = late.loan_id
){{ ',' if not loop.last }}

{% endfor %}
{% for code in readings %}
{{ kpi_grain_rows('judged_' ~ loop.index, [[code, 'late_count', 'loan_count']], ['total', 'branch', 'product', 'branch_product', 'province']) }}
{{ 'union all' if not loop.last }}
{% endfor %}
