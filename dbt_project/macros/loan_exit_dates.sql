{#-
  The days from which a loan is written off or closed, NULL for never. Where the source says that it left but not when, the
  day is the last one known: of the last payment, of the row's own update, of maturity.
-#}
{% macro written_off_date(loan) -%}
    case
        when {{ loan }}.source_status_code = 'written_off' then coalesce(
            {{ loan }}.written_off_date,
            {{ loan }}.closed_date,
            {{ local_date(loan ~ '.updated_at') }},
            {{ loan }}.maturity_date,
            {{ loan }}.disbursed_date
        )
        else {{ loan }}.written_off_date
    end
{%- endmacro %}

{% macro closed_date(loan, last_paid_date) -%}
    case
        when {{ loan }}.source_status_code = 'closed' then coalesce(
            {{ loan }}.closed_date,
            {{ last_paid_date }},
            {{ loan }}.maturity_date,
            {{ loan }}.disbursed_date
        )
        else {{ loan }}.closed_date
    end
{%- endmacro %}
