{#-
  In an increment: the condition that a column is named by a change table; nothing when the table is built anew. `only` narrows
  the change table further. The model's meta.replaced must say the same of the table's own column.
-#}
{% macro changed_rows(column, table='int_changes__loans', clause='where', only=none) -%}
    {%- if not execute -%}
        {%- do ref(table) -%}
    {%- elif is_increment() -%}
        {{ clause }} {{ column }} in (
            select {{ column.split('.')[-1] }} from {{ ref(table) }}{% if only %} where {{ only }}{% endif %}
        )
    {%- endif -%}
{%- endmacro %}
