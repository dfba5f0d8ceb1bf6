{#- Counts over rows (age_days since the promise was made, promise_status_code): shared by loans and customers. -#}
{% macro promise_counts() -%}
    count(case when age_days < 182 then 1 end) as promise_182d_count,
    count(case when age_days < 182 and promise_status_code = 'broken' then 1 end) as broken_promise_182d_count,
    count(case when promise_status_code = 'kept' then 1 end) as kept_promise_364d_count,
    count(case when promise_status_code <> 'open' then 1 end) as settled_promise_364d_count,
    count(case when promise_status_code = 'open' then 1 end) as open_promise_count
{%- endmacro %}
