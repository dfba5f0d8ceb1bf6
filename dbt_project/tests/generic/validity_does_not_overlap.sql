{#- Effective-dated rows of one key: each ends before the next begins, none ends before it begins, none begins twice. -#}
{% test validity_does_not_overlap(model, columns) %}
select *
from (
    select
        {{ columns | join(', ') }},
        valid_from_date,
        valid_to_date,
        lead(valid_from_date) over (partition by {{ columns | join(', ') }} order by valid_from_date) as next_from_date
    from {{ model }}
) as dated
where
    valid_to_date <= valid_from_date
    or next_from_date = valid_from_date
    or (next_from_date is not null and (valid_to_date is null or valid_to_date > next_from_date))
{% endtest %}
