{#-
  Ladders of past-due days, one per value of `columns` and first day of validity: each starts at day 0, every rung begins the day
  after the one before it ends, only the last is open, and `monotone`, if given, never falls nor is given to some rungs only.
-#}
{% test ladder_has_no_gap(model, columns, rank, monotone=none) %}
{%- set ladder = columns | join(', ') ~ ', valid_from_date' -%}
select *
from (
    select
        {{ ladder }},
        {{ rank }} as rung,
        min_days,
        max_days,
        lag(max_days) over (partition by {{ ladder }} order by {{ rank }}) as previous_max_days,
        row_number() over (partition by {{ ladder }} order by {{ rank }}) as place,
        count(*) over (partition by {{ ladder }}) as rung_count
        {%- if monotone %},
        {{ monotone }} as share,
        lag({{ monotone }}) over (partition by {{ ladder }} order by {{ rank }}) as previous_share
        {%- endif %}
    from {{ model }}
) as rungs
where
    (place = 1 and min_days <> 0)
    or (place > 1 and (previous_max_days is null or min_days <> previous_max_days + 1))
    or (place = rung_count) <> (max_days is null)
    or max_days < min_days
    {%- if monotone %}
    or share < 0 or share > 1
    or share < previous_share
    or (place > 1 and (share is null) <> (previous_share is null))
    {%- endif %}
{% endtest %}
