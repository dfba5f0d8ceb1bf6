{#-
  Rows of a raw table in their newest version, without keys whose newest version is a deletion.
  Newest = highest (_load_id, _source_row). `columns` are written as they come, so that staging can rename in one step.
  A model that is built incrementally (`{{ newest_versions_config(...) }}`) looks only at the keys of new loads.
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
    {%- if is_increment() %}
    where ({{ key | join(', ') }}) in (
        select {{ key | join(', ') }}
        from {{ relation }}
        where _load_id > (select coalesce(built_load_id, -1) from {{ source('control', 'run_parameters') }})
    )
    {%- endif %}
) as ranked
where version_rank = 1 and not coalesce(_is_deleted, false)
{% endmacro %}
