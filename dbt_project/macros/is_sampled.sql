{#-
  Whether a customer is in the training sample: the first four hexadecimal digits of the MD5 of its key are below the
  threshold of control.run_parameters ('' = nobody, 'g' = everyone). Depends on the key alone, so it stays the same
  from day to day.
-#}
{% macro is_sampled(customer_id, threshold) -%}
    ({{ bytewise('substr(md5(' ~ customer_id ~ '), 1, 4)') }} < {{ threshold }})
{%- endmacro %}
