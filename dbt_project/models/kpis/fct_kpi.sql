{%- set keys = kpi_keys() | join(', ') -%}
-- Sums and ratios of the semantic layer, figures of their own models, and what Python measured on models and decisions;
-- only what the catalogue has, at the grains that it names.
with found as (
    select period_code, as_of_date, grain_code, {{ keys }}, kpi_code, cast(null as text) as detail_code, numerator, denominator
    from (
        {{ kpi_ratios() }}
    ) as ratios

    {% for model in kpi_value_models() -%}
    union all

    select period_code, as_of_date, grain_code, {{ keys }}, kpi_code, detail_code, numerator, denominator
    from {{ ref(model) }}

    {% endfor -%}
    union all

    -- A running period of an earlier run ended elsewhere: it is not one of today's.
    select measured.period_code, measured.as_of_date, measured.grain_code, {% for key in kpi_keys() %}measured.{{ key }}, {% endfor %}measured.kpi_code, measured.detail_code, measured.numerator, measured.denominator
    from {{ source('measured', 'kpi_values') }} as measured
    inner join {{ ref('kpi_periods') }} as periods
        on measured.period_code = periods.period_code
        and measured.as_of_date = periods.as_of_date
)

select
    found.as_of_date,
    found.period_code,
    found.kpi_code,
    found.grain_code,
    {% for key in kpi_keys() -%}
    found.{{ key }},
    {% endfor -%}
    found.detail_code,
    {{ steady_double('found.numerator') }} as numerator,
    {{ steady_double('found.denominator') }} as denominator,
    {{ ratio(steady_double('found.numerator'), steady_double('found.denominator')) }} as value
from found
inner join {{ ref('kpi_catalog') }} as catalog on found.kpi_code = catalog.kpi_code
where catalog.status = 'on' and '|' || catalog.grains || '|' like '%|' || found.grain_code || '|%'
