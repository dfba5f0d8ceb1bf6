{# The openings of the periods whose figures are built again. #}
{% macro kpi_changed_openings() -%}
    select openings.*
    from {{ ref('kpi_period_openings') }} as openings
    inner join {{ ref('int_changes__periods') }} as changed
        on openings.period_code = changed.period_code
        and openings.as_of_date = changed.as_of_date
{%- endmacro %}
