{#-
  The predicate of an incremental model keyed by period: rows of periods that changed, and of periods that are not kept any
  more. `kept` is the relation of the periods that the model's query can give.
-#}
{% macro kpi_period_replaced(kept) -%}
    {{ return(
        '(replaced.period_code, replaced.as_of_date) in (select period_code, as_of_date from intermediate.int_changes__periods)'
        ~ ' or (replaced.period_code, replaced.as_of_date) not in (select period_code, as_of_date from kpis.' ~ kept ~ ')'
    ) }}
{%- endmacro %}
