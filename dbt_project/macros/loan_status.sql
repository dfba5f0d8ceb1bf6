{#- State of a loan at the end of a day: written off or closed from that very day on. -#}
{% macro loan_status(lifespan, as_of_date) -%}
    case
        when {{ lifespan }}.written_off_date <= {{ as_of_date }} then 'written_off'
        when {{ lifespan }}.closed_date <= {{ as_of_date }} then 'closed'
        else 'active'
    end
{%- endmacro %}
