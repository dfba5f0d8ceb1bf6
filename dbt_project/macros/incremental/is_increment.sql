{#-
  Whether the table is there and only what changed is computed. As dbt's is_incremental, but a unit test, which has no table,
  is a full build unless it overrides this macro.
-#}
{% macro is_increment() -%}
    {{ return(model.resource_type != 'unit_test' and is_incremental()) }}
{%- endmacro %}
