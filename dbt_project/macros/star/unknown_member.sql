{#- The row of a dimension that facts without a member point to: its key is -1, its names say so, the rest is NULL.
    Written from the contract of the model, so that it has every column. -#}
{% macro unknown_member(named) -%}
    select
    {%- for column in model.columns.values() %}
        {% if column.name.endswith('_key') -%}
            cast(-1 as bigint)
        {%- elif column.name in named -%}
            '(sin dato)'
        {%- elif column.data_type == 'boolean' -%}
            false
        {%- else -%}
            cast(null as {{ column.data_type }})
        {%- endif %} as {{ column.name }}{{ ',' if not loop.last }}
    {%- endfor %}
{%- endmacro %}
