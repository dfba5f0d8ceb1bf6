{#-
  The rows of a kpi_values__ model out of a relation with period_code, as_of_date, grain_code and the key columns:
  `parts` lists (kpi_code, detail or none, numerator, denominator), each an SQL expression over its columns.
-#}
{% macro kpi_value_rows(relation, parts) -%}
{% for kpi_code, detail, numerator, denominator in parts -%}
select
    as_of_date,
    period_code,
    '{{ kpi_code }}' as kpi_code,
    grain_code,
    {{ kpi_keys() | join(',\n    ') }},
    cast({{ detail or 'null' }} as text) as detail_code,
    cast({{ numerator }} as double precision) as numerator,
    cast({{ denominator }} as double precision) as denominator
from {{ relation }}
{% if not loop.last %}
union all

{% endif -%}
{% endfor %}
{%- endmacro %}
