{#-
  Status of a promise at the end of a day, from the net amount paid in [made_date, grace_end_date] up to that day:
  1. kept: what is_promise_kept asks for has arrived. 2. open: not kept and grace_end_date is that day or later.
  3. partly_kept: grace is over and something arrived. 4. broken: grace is over and nothing arrived.
-#}
{% macro promise_status(promise, as_of_date) -%}
    case
        when {{ is_promise_kept(promise ~ '.paid_amount', promise ~ '.promised_amount') }} then 'kept'
        when {{ as_of_date }} <= {{ promise }}.grace_end_date then 'open'
        when {{ promise }}.paid_amount > 0 then 'partly_kept'
        else 'broken'
    end
{%- endmacro %}
