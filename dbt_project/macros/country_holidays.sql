{#- Public holidays of the institution's country: those that it handed over and the shipped ones. One row per day. -#}
{% macro country_holidays() %}
    select holiday_date
    from {{ ref('stg_core__holidays') }}
    where country = '{{ var("country") }}'

    union

    select shipped.date
    from {{ ref('holidays') }} as shipped
    where shipped.country = '{{ var("country") }}'
{% endmacro %}
