{#-
  Rows of the long table of KPIs, without value, for a figure that is no sum of parts: `numerator` and `denominator` are
  aggregates over the rows of `relation` (period_code, as_of_date and the columns of the grain) in one cell of one grain.
  The denominator of a figure that is no ratio is 1.
-#}
{% macro kpi_figure_rows(relation, kpi_code, numerator, grain, denominator='1') -%}
select
    as_of_date,
    period_code,
    cast('{{ kpi_code }}' as text) as kpi_code,
    cast('{{ grain }}' as text) as grain_code,
    {{ kpi_key_columns(grain, relation) }},
    cast(null as text) as detail_code,
    cast({{ numerator }} as double precision) as numerator,
    cast({{ denominator }} as double precision) as denominator
from {{ relation }}
group by as_of_date, period_code{% for key in kpi_grains()[grain] %}, {{ relation }}.{{ key }}{% endfor %}
{%- endmacro %}
