{#-
  The periods of the KPIs that compare two dates: months and ISO weeks kept as history, and the running ones, which end
  on the run's date. Columns: period_code, from_date (last day of the period before), as_of_date. A period covers the
  days after from_date up to as_of_date.
-#}
{% macro kpi_period_ends() %}
select
    'month' as period_code,
    {{ add_days("cast(date_trunc('month', as_of_date) as date)", -1) }} as from_date,
    as_of_date
from ({{ as_of_dates() }}) as dates
where is_month_end = 1 or is_score = 1

union all

select
    'week' as period_code,
    {{ add_days('as_of_date', '- cast(extract(isodow from as_of_date) as integer)') }} as from_date,
    as_of_date
from ({{ as_of_dates() }}) as dates
where is_week_end = 1 or is_score = 1
{% endmacro %}
