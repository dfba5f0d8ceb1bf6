{#-
  Rows of the long table of KPIs, without value, from a relation or CTE with period_code, as_of_date and the columns of the
  grains: one sum of the numerator and of the denominator per grain.

  `measures`: list of [kpi_code, numerator column, denominator column]. `grains`: total, branch, product, branch_product,
  bucket, province, segment. `detail`: an expression of grouped columns, whose names are `detail_columns`.
-#}
{% macro kpi_grain_rows(relation, measures, grains, detail=none, detail_columns=[]) %}
{%- set keys = {
    'branch_id': ['branch', 'branch_product'],
    'product_code': ['product', 'branch_product'],
    'segment_code': ['segment'],
    'bucket_code': ['bucket'],
    'collector_id': ['collector'],
    'agency': ['agency'],
    'channel_code': ['channel'],
    'campaign_id': ['campaign'],
    'province': ['province'],
} -%}
{%- for grain in grains -%}
{%- set outer_first = loop.first -%}
{%- set grouped = ['as_of_date', 'period_code'] -%}
{%- for key, in_grains in keys.items() -%}{%- if grain in in_grains -%}{%- do grouped.append(key) -%}{%- endif -%}{%- endfor -%}
{%- for measure in measures %}
{% if not (outer_first and loop.first) %}union all{% endif %}
select
    as_of_date,
    period_code,
    cast('{{ measure[0] }}' as text) as kpi_code,
    cast('{{ grain }}' as text) as grain_code,
    {% for key in keys -%}
    {{ key if key in grouped else 'cast(null as text)' }} as {{ key }},
    {% endfor -%}
    cast({{ detail if detail is not none else 'null' }} as text) as detail_code,
    cast(sum({{ measure[1] }}) as double precision) as numerator,
    cast(sum({{ measure[2] }}) as double precision) as denominator
from {{ relation }}
group by {{ (grouped + detail_columns) | join(', ') }}
{% endfor -%}
{%- endfor -%}
{% endmacro %}
