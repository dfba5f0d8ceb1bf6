{#- Whether a contact point reaches somebody who owes: the member, a co-debtor or a guarantor. No rule lets anybody else be contacted. -#}
{% macro reaches_an_obligor(relation) -%}
    coalesce({{ relation }}.party_code, 'debtor') in ('debtor', 'codebtor', 'guarantor')
{%- endmacro %}
