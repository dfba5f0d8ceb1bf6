{#- The amount up to which two figures count as equal: setting reconciliation.amount_tolerance. -#}
{% macro reconciliation_tolerance() -%}
    cast({{ var('reconciliation_tolerance') }} as numeric(18, 2))
{%- endmacro %}

{#- Whether a figure of the core equals one of ours; a figure that the core did not give says nothing. -#}
{% macro agrees(core, ours) -%}
    ({{ core }} is null or abs({{ core }} - {{ ours }}) <= {{ reconciliation_tolerance() }})
{%- endmacro %}
