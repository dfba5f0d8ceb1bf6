{#-
  The measures of a family summed by period and grain: one row per period, grain and key, one column per measure.
  A stock is what the last day of the period says; a flow is the sum of its days. Measures are named as in the semantic model.
-#}
{% macro kpi_sums(family) %}
{%- set parts = ref('kpi_' ~ family) -%}
{%- set periods = ref('kpi_periods') -%}
{%- set branches = ref('dim_branches') -%}
{%- set collectors = ref('dim_collectors') -%}
{%- if execute -%}
{%- set semantic = kpi_family(family) -%}
{%- set keys = kpi_family_keys(family) -%}
with cells as (
    select
        periods.period_code,
        periods.as_of_date,
        {% for key in keys -%}
        {% if key in semantic.dimensions %}parts.{% elif key == 'province' %}branches.{% else %}collectors.{% endif %}{{ key }},
        {% endfor -%}
        {% for measure, column in semantic.measures.items() -%}
        sum(parts.{{ column }}) as {{ measure }}{% if not loop.last %},{% endif %}
        {% endfor %}
    from {{ parts }} as parts
    inner join {{ periods }} as periods
        on {% if semantic.is_stock %}parts.as_of_date = periods.as_of_date
        {%- else %}parts.activity_date between periods.first_date and periods.as_of_date{% endif %}
    {% if 'province' in keys and 'province' not in semantic.dimensions -%}
    left join {{ branches }} as branches on parts.branch_id = branches.branch_id
    {% endif -%}
    {% if 'agency' in keys and 'agency' not in semantic.dimensions -%}
    left join {{ collectors }} as collectors on parts.collector_id = collectors.collector_id
    {% endif -%}
    group by periods.period_code, periods.as_of_date{% for key in keys %}, {% if key in semantic.dimensions %}parts.{% elif key == 'province' %}branches.{% else %}collectors.{% endif %}{{ key }}{% endfor %}
)

select
    cells.period_code,
    cells.as_of_date,
    case
        {% for grain, columns in kpi_grains().items() if columns | reject('in', keys) | list | length == 0 -%}
        when {% for key in keys %}grouping(cells.{{ key }}) = {{ 0 if key in columns else 1 }}{% if not loop.last %} and {% endif %}{% else %}true{% endfor %} then '{{ grain }}'
        {% endfor -%}
    end as grain_code,
    {% for key in kpi_keys() -%}
    {% if key in keys %}cells.{{ key }}{% else %}cast(null as text) as {{ key }}{% endif %},
    {% endfor -%}
    {% for measure in semantic.measures -%}
    sum(cells.{{ measure }}) as {{ measure }}{% if not loop.last %},{% endif %}
    {% endfor %}
from cells
group by grouping sets (
    {% for grain, columns in kpi_grains().items() if columns | reject('in', keys) | list | length == 0 -%}
    (cells.period_code, cells.as_of_date{% for column in columns %}, cells.{{ column }}{% endfor %}){% if not loop.last %},{% endif %}
    {% endfor %}
)
{%- else -%}
select * from {{ parts }}
{%- endif -%}
{% endmacro %}
