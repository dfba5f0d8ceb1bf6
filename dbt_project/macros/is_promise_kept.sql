{#- Whether what was paid keeps a promise: all of it but the share that may be missing, setting kpis.promise_tolerance_share. -#}
{% macro is_promise_kept(paid_amount, promised_amount) -%}
    ({{ paid_amount }} >= {{ promised_amount }} * (1 - cast({{ var('promise_tolerance_share') }} as numeric(9, 6))))
{%- endmacro %}
