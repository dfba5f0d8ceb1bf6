{#-
  What moved the arrears of the active loans between two dates, a query: one row per pair, branch and product. `pairs` is a
  relation or CTE of (period_code, from_date, as_of_date), both dates kept by fct_loan_as_of. Principal is the outstanding
  principal of the loans in arrears: opening + new - repaid - cured - written off - closed = closing, where repaid is what
  the loans that stay in arrears owe less than before.
-#}
{% macro arrears_movement(pairs) %}
select
    period_code,
    from_date,
    as_of_date,
    branch_id,
    product_code,
    {{ money('sum(opening_amount)') }} as opening_amount,
    {{ money("sum(case when movement_code = 'new' then closing_amount else 0 end)") }} as new_amount,
    {{ money("sum(case when movement_code = 'increased' then closing_amount - opening_amount else 0 end)") }}
        as increased_amount,
    {{ money("sum(case when movement_code = 'reduced' then opening_amount - closing_amount else 0 end)") }}
        as reduced_amount,
    {% for movement in ['cured', 'written_off', 'closed'] -%}
    {{ money("sum(case when movement_code = '" ~ movement ~ "' then opening_amount else 0 end)") }} as {{ movement }}_amount,
    {% endfor -%}
    {{ money('sum(closing_amount)') }} as closing_amount,
    {{ money('sum(opening_principal_amount)') }} as opening_principal_amount,
    {{ money("sum(case when movement_code = 'new' then closing_principal_amount else 0 end)") }} as new_principal_amount,
    {{ money("sum(case
        when movement_code in ('increased', 'unchanged', 'reduced') then opening_principal_amount - closing_principal_amount
        else 0
    end)") }} as repaid_principal_amount,
    {% for movement in ['cured', 'written_off', 'closed'] -%}
    {{ money("sum(case when movement_code = '" ~ movement ~ "' then opening_principal_amount else 0 end)") }}
        as {{ movement }}_principal_amount,
    {% endfor -%}
    {{ money('sum(closing_principal_amount)') }} as closing_principal_amount,
    cast(sum(case when opening_amount > 0 then 1 else 0 end) as bigint) as opening_count,
    {% for movement in ['new', 'increased', 'reduced', 'cured', 'written_off', 'closed'] -%}
    cast(sum(case when movement_code = '{{ movement }}' then 1 else 0 end) as bigint) as {{ movement }}_count,
    {% endfor -%}
    cast(sum(case when closing_amount > 0 then 1 else 0 end) as bigint) as closing_count
from (
    select
        compared.*,
        case
            when compared.opening_amount = 0 then 'new'
            when compared.closing_amount > compared.opening_amount then 'increased'
            when compared.closing_amount = compared.opening_amount then 'unchanged'
            when compared.closing_amount > 0 then 'reduced'
            when now_state.loan_status_code = 'written_off' then 'written_off'
            when now_state.loan_status_code = 'closed' then 'closed'
            else 'cured'
        end as movement_code
    from (
        -- A loan enters the comparison of two dates when it owed something on either.
        select
            period_code,
            from_date,
            as_of_date,
            loan_id,
            branch_id,
            product_code,
            sum(opening_amount) as opening_amount,
            sum(closing_amount) as closing_amount,
            sum(opening_principal_amount) as opening_principal_amount,
            sum(closing_principal_amount) as closing_principal_amount
        from (
            {% for side in ['closing', 'opening'] -%}
            select
                pairs.period_code,
                pairs.from_date,
                pairs.as_of_date,
                owed.loan_id,
                owed.branch_id,
                owed.product_code,
                {{ 'owed.arrears_amount' if side == 'opening' else '0' }} as opening_amount,
                {{ 'owed.arrears_amount' if side == 'closing' else '0' }} as closing_amount,
                {{ 'owed.outstanding_principal_amount' if side == 'opening' else '0' }} as opening_principal_amount,
                {{ 'owed.outstanding_principal_amount' if side == 'closing' else '0' }} as closing_principal_amount
            from {{ ref('fct_loan_as_of') }} as owed
            inner join {{ pairs }} as pairs
                on owed.as_of_date = pairs.{{ 'as_of_date' if side == 'closing' else 'from_date' }}
            where owed.loan_status_code = 'active' and owed.arrears_amount > 0
            {% if not loop.last %}union all{% endif %}
            {% endfor %}
        ) as sides
        group by period_code, from_date, as_of_date, loan_id, branch_id, product_code
    ) as compared
    inner join {{ ref('fct_loan_as_of') }} as now_state
        on compared.loan_id = now_state.loan_id
        and compared.as_of_date = now_state.as_of_date
) as classified
group by period_code, from_date, as_of_date, branch_id, product_code
{% endmacro %}
