{#- Key of a member of a dimension: 60 bits of the MD5 of its natural id as bigint, the same on every engine; -1, the row
    "(sin dato)" of every dimension, where the id is NULL. Two of a million ids share a key with a probability of 5e-7. -#}
{% macro hash_key(expression) -%}
    {{ return(adapter.dispatch('hash_key', 'puntual')(expression)) }}
{%- endmacro %}

{% macro default__hash_key(expression) -%}
    coalesce(cast('0x' || substr(md5(cast({{ expression }} as text)), 1, 15) as bigint), -1)
{%- endmacro %}

{% macro postgres__hash_key(expression) -%}
    coalesce(cast(cast('x0' || substr(md5(cast({{ expression }} as text)), 1, 15) as bit(64)) as bigint), -1)
{%- endmacro %}
