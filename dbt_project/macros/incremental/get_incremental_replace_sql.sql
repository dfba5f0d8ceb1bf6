{#-
  The incremental strategy `replace`: in one transaction the rows of the table for which the predicate holds go, and the rows
  of the query come. The predicate is the model's `meta.replaced`, SQL on the columns of the table, which is called
  `replaced`; a list of predicates is several deletes, because one of several `or` is never a join. It and the query must
  speak of the same rows: every row that the query gives must be one that the predicate takes away, if it was there. dbt
  runs the statements and the commit together, so a crash leaves the table as it was.
-#}
{% macro get_incremental_replace_sql(arg_dict) %}
    {%- set predicates = (config.get('meta') or {}).get('replaced') -%}
    {%- if not predicates -%}
        {{ exceptions.raise_compiler_error(model.unique_id ~ ": incremental_strategy 'replace' needs meta={'replaced': '<predicate>'}") }}
    {%- endif -%}
    {%- set columns = get_quoted_csv(arg_dict['dest_columns'] | map(attribute='name')) -%}
    {% for predicate in ([predicates] if predicates is string else predicates) %}
    delete from {{ arg_dict['target_relation'] }} as replaced
    where {{ predicate }};
    {% endfor %}
    insert into {{ arg_dict['target_relation'] }} ({{ columns }})
    select {{ columns }}
    from {{ arg_dict['temp_relation'] }};
{% endmacro %}
