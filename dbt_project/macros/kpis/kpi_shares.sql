{# The rows of `relation` (of kpi_grain_rows) with the sum of their denominators over a cell as the denominator: the
   parts of a whole then add up to 1. A cell is a day, period, KPI, grain and its keys, and `within` where the whole is a part
   itself. The sum is exact: a sum of doubles would depend on the order of its rows. #}
{% macro kpi_shares(relation, within=none) -%}
{%- set keys = kpi_keys() -%}
    select
        as_of_date,
        period_code,
        kpi_code,
        grain_code,
        {{ keys | join(',\n        ') }},
        detail_code,
        numerator,
        cast(sum(cast(denominator as numeric(18, 2))) over (
            partition by as_of_date, period_code, kpi_code, grain_code, {{ keys | join(', ') }}{{ ', ' ~ within if within }}
        ) as double precision) as denominator
    from {{ relation }}
{%- endmacro %}
