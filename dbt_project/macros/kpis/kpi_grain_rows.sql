{#-
  Rows of the long table of KPIs, without value, from a relation or CTE with period_code, as_of_date and the columns of the
  grains: one sum of the numerator and of the denominator per grain and measure.

  `measures`: list of [kpi_code, numerator, denominator], expressions of its columns. `grains`: codes of kpi_grains().
  `detail`: an expression of the columns `detail_columns`, by which the sums are broken down further.
-#}
{% macro kpi_grain_rows(relation, measures, grains, detail=none, detail_columns=[]) %}
{%- for grain in grains -%}
{%- set is_first_grain = loop.first -%}
{%- set own = kpi_grains()[grain] -%}
{%- for measure in measures %}
{% if not (is_first_grain and loop.first) %}union all{% endif %}
select
    as_of_date,
    period_code,
    cast('{{ measure[0] }}' as text) as kpi_code,
    cast('{{ grain }}' as text) as grain_code,
    {% for key in kpi_keys() -%}
    {{ key if key in own else 'cast(null as text)' }} as {{ key }},
    {% endfor -%}
    cast({{ detail if detail is not none else 'null' }} as text) as detail_code,
    cast(sum({{ measure[1] }}) as double precision) as numerator,
    cast(sum({{ measure[2] }}) as double precision) as denominator
from {{ relation }}
group by {{ (['as_of_date', 'period_code'] + own + detail_columns) | join(', ') }}
{% endfor -%}
{%- endfor -%}
{% endmacro %}
