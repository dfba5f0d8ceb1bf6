{#-
  What each component of a partly covered instalment has received, when `amount` (between 0 and the instalment's total) is
  put against it in the order of the setting allocation_order. `component` is fees, interest or principal; the columns
  <component>_due_amount of `installment` hold the dues.
-#}
{% macro allocated_component(amount, component, installment) -%}
    {%- set before = [] -%}
    {%- set found = namespace(yes=false) -%}
    {%- for name in var('allocation_order') -%}
        {%- if name == component -%}{%- set found.yes = true -%}{%- endif -%}
        {%- if not found.yes -%}{%- do before.append(installment ~ '.' ~ name ~ '_due_amount') -%}{%- endif -%}
    {%- endfor -%}
    {%- if not found.yes or var('allocation_order') | sort != ['fees', 'interest', 'principal'] -%}
        {{ exceptions.raise_compiler_error("allocation_order must name fees, interest and principal once each, not " ~ var('allocation_order')) }}
    {%- endif -%}
    least(
        greatest({{ amount }}{% for due in before %} - {{ due }}{% endfor %}, 0),
        {{ installment }}.{{ component }}_due_amount
    )
{%- endmacro %}
