{#-
  Every KPI of the semantic layer as numerator and denominator by period, grain and key. A sum has the denominator 1. Where the
  two parts come from different families each is laid beside the other by its key; a part that is missing is 0, unless the metric says
  that it is unknown.
-#}
{% macro kpi_ratios() %}
{%- set sums = {} -%}
{%- for family in kpi_families() -%}{%- do sums.update({family: ref('int_kpi_sums__' ~ family)}) -%}{%- endfor -%}
{%- set keys = kpi_keys() | join(', ') -%}
{%- if execute -%}
{%- set inside, across = {}, [] -%}
{%- for metric in kpi_metrics() -%}
    {%- if metric.denominator is none or metric.denominator.family == metric.numerator.family -%}
        {%- do inside.setdefault(metric.numerator.family, []).append(metric) -%}
    {%- else -%}
        {%- do across.append(metric) -%}
    {%- endif -%}
{%- endfor -%}
{%- for family, metrics in inside.items() %}
select sums.period_code, sums.as_of_date, sums.grain_code, {% for key in kpi_keys() %}sums.{{ key }}, {% endfor %}parts.kpi_code, parts.numerator, parts.denominator
from {{ sums[family] }} as sums
cross join lateral (
    values
    {% for metric in metrics -%}
    ('{{ metric.code }}', cast(sums.{{ metric.numerator.measure }} as double precision), {% if metric.denominator is none %}cast(1 as double precision){% else %}cast(sums.{{ metric.denominator.measure }} as double precision){% endif %}){% if not loop.last %},{% endif %}
    {% endfor %}
) as parts (kpi_code, numerator, denominator)
{% if not loop.last or across %}
union all
{% endif -%}
{%- endfor %}
{%- for metric in across %}
select period_code, as_of_date, grain_code, {{ keys }}, '{{ metric.code }}' as kpi_code, {% if metric.is_unknown_without_numerator %}sum(numerator){% else %}coalesce(sum(numerator), 0){% endif %} as numerator, coalesce(sum(denominator), 0) as denominator
from (
    select period_code, as_of_date, grain_code, {{ keys }}, cast({{ metric.numerator.measure }} as double precision) as numerator, cast(null as double precision) as denominator
    from {{ sums[metric.numerator.family] }}
    union all
    select period_code, as_of_date, grain_code, {{ keys }}, null, cast({{ metric.denominator.measure }} as double precision)
    from {{ sums[metric.denominator.family] }}
) as both_parts
where grain_code in ({% for grain, columns in kpi_grains().items() if columns | reject('in', kpi_family_keys(metric.numerator.family)) | list | length == 0 and columns | reject('in', kpi_family_keys(metric.denominator.family)) | list | length == 0 %}'{{ grain }}'{% if not loop.last %}, {% endif %}{% endfor %})
group by period_code, as_of_date, grain_code, {{ keys }}
{% if not loop.last %}
union all
{% endif -%}
{%- endfor %}
{%- else -%}
select * from {{ sums.values() | first }}
{%- endif -%}
{% endmacro %}
