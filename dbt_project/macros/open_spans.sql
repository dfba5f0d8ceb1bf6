{# When each instalment of the loans that changed stood open: one row per span, with its instalment's `columns`. covered_date
   ends the first span of an instalment; the later ones end where they are closed again. #}
{% macro open_spans(columns) -%}
    select
        {{ columns | join(',\n        ') }},
        valid_from_date as open_from_date,
        case
            when valid_to_date = cast('9999-12-31' as date) then coalesce(covered_date, valid_to_date)
            else valid_to_date
        end as open_to_date
    from {{ ref('int_installments__coverage_spans') }}
    where
        (covered_date is null or valid_from_date = cast('1900-01-01' as date))
        {{ changed_rows('loan_id', 'int_changes__loan_states', clause='and') }}
{%- endmacro %}
