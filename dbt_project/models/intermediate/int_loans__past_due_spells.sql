{{ config(tags=['training'], materialized='incremental', incremental_strategy='replace', meta={'replaced':
    "replaced.loan_id in (select loan_id from intermediate.int_changes__loan_states)"
}) }}

-- Periods in which an instalment stood open for at least the threshold of the default label, or of the early warning.
-- A loan is that late on a day exactly when one of its instalments is, so a label only asks for an overlap. An open
-- instalment crosses the threshold by itself on its due date plus the threshold; one that a reversal opened again does so
-- on the day of the reversal, or later by itself.
{% set thresholds = [var('default_past_due_days'), var('early_past_due_days')] | unique | list %}

with open_spans as (
    {{ open_spans(['loan_id', 'due_date']) }}
),

thresholds as (
    {% for threshold in thresholds %}
    select {{ threshold }} as threshold_days, {{ threshold - past_due_shift() }} as reached_after_days
    {% if not loop.last %}union all{% endif %}
    {% endfor %}
)

select
    open_spans.loan_id,
    cast(thresholds.threshold_days as bigint) as threshold_days,
    greatest(open_spans.open_from_date, {{ add_days('open_spans.due_date', 'thresholds.reached_after_days') }}) as entered_date,
    open_spans.open_to_date as left_date
from open_spans
cross join thresholds
where {{ add_days('open_spans.due_date', 'thresholds.reached_after_days') }} < open_spans.open_to_date
