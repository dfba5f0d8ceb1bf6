{#- Whether an effective-dated reference row holds on a day: from valid_from_date to the day before valid_to_date. -#}
{% macro is_in_force(relation, on_date) -%}
    ({{ relation }}.valid_from_date <= {{ on_date }} and ({{ relation }}.valid_to_date is null or {{ on_date }} < {{ relation }}.valid_to_date))
{%- endmacro %}
