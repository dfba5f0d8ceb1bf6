{#-
  Rows of a raw table in their newest version, without keys whose newest version is a deletion.
  Newest = highest (_load_id, _source_row). `columns` are written as they come, so that staging can rename in one step.
-#}
{% macro newest_version(relation, key, columns) %}
select
    {{ columns | join(',\n    ') }}
from (
    select
        raw_rows.*,
        row_number() over (
            partition by {{ key | join(', ') }}
            order by _load_id desc nulls last, _source_row desc nulls last
        ) as version_rank
    from {{ relation }} as raw_rows
) as ranked
where version_rank = 1 and not coalesce(_is_deleted, false)
{% endmacro %}
