{#- The channels that a decision can choose, in the order of their feature columns. -#}
{% macro contact_channels() -%}
    {{ return(['call', 'ivr', 'whatsapp', 'sms', 'email', 'visit']) }}
{%- endmacro %}
