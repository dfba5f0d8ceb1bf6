{#- A table of additive parts with the keys of its dimensions in front. The columns are those of the model's contract:
    a key is made of the natural id of its name, everything else is passed on. -#}
{% macro star_parts(relation, date_column) -%}
    {%- set ids = {
        'branch_key': 'branch_id', 'product_key': 'product_code', 'segment_key': 'segment_code',
        'bucket_key': 'bucket_code', 'collector_key': 'collector_id', 'channel_key': 'channel_code',
        'campaign_key': 'campaign_id', 'kpi_key': 'kpi_code',
    } -%}
    select
    {%- for column in model.columns.values() %}
        {% if column.name == 'date_key' -%}
            {{ date_key('parts.' ~ date_column) }} as date_key
        {%- elif column.name in ids -%}
            {{ hash_key('parts.' ~ ids[column.name]) }} as {{ column.name }}
        {%- else -%}
            parts.{{ column.name }}
        {%- endif %}{{ ',' if not loop.last }}
    {%- endfor %}
    from {{ relation }} as parts
{%- endmacro %}
