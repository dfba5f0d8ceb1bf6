{#-
  Every version, old and new, of the keys of a raw table that a load after the last finished run brought or took away;
  empty on a full build. `columns` as they are in raw; the deletion of a key carries nothing but the key.
-#}
{% macro changed_versions(table, key, columns) -%}
select versions.{{ (key + columns + ['_load_id', '_source_row', '_is_deleted']) | join(', versions.') }}
from {{ source('raw', table) }} as versions
where (versions.{{ key | join(', versions.') }}) in (
    select {{ key | join(', ') }}
    from {{ source('raw', table) }}
    where _load_id > (select built_load_id from {{ source('control', 'run_parameters') }})
)
{%- endmacro %}
