{#- Names of months and weekdays as people write them: neither engine knows Spanish everywhere. -#}
{% macro month_name(expression, language) -%}
    {%- set names = {
        'es': ['enero', 'febrero', 'marzo', 'abril', 'mayo', 'junio', 'julio', 'agosto', 'septiembre', 'octubre',
               'noviembre', 'diciembre'],
        'en': ['January', 'February', 'March', 'April', 'May', 'June', 'July', 'August', 'September', 'October',
               'November', 'December'],
    } -%}
    case extract(month from {{ expression }})
        {%- for name in names[language] %} when {{ loop.index }} then '{{ name }}'{% endfor %} end
{%- endmacro %}

{% macro weekday_name(expression, language) -%}
    {%- set names = {
        'es': ['lunes', 'martes', 'miércoles', 'jueves', 'viernes', 'sábado', 'domingo'],
        'en': ['Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday', 'Sunday'],
    } -%}
    case extract(isodow from {{ expression }})
        {%- for name in names[language] %} when {{ loop.index }} then '{{ name }}'{% endfor %} end
{%- endmacro %}
