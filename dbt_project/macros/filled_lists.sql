{#-
  Work lists that came back filled in. `puntual/worklists/deliver.py` writes their contacts and promises into the landing
  folder and says the same of the keys.
-#}

{#- Whether the key of an interaction or promise is one that a filled list gave it. -#}
{% macro is_from_list(key) -%}{{ key }} like 'puntual-worklist:%'{%- endmacro %}

{#- Whether a newer version of the list says that the contact was not made. -#}
{% macro is_withdrawn(interactions) -%}
    coalesce({{ interactions }}.campaign_id, '') = 'puntual-worklist:withdrawn'
{%- endmacro %}

{#- Whether more than the day of a UTC timestamp is known: sources that know only the day write the institution's midnight. -#}
{% macro has_clock_time(expression) -%}
    {{ local_timestamp(expression) }} <> cast({{ local_date(expression) }} as timestamp)
{%- endmacro %}
