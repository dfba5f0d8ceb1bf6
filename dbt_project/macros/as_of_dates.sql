{#-
  The dates of the run's spine, one row per date up to the run's own, with its flags as 0 or 1. History are the dates of
  which every loan's state is kept: the run's own, the last days, Sundays and month ends; of them is_built those that the
  last finished run left.
-#}
{% macro as_of_dates() %}
select
    cast(spine.as_of_date as date) as as_of_date,
    max(case when spine.is_score then 1 else 0 end) as is_score,
    max(case when spine.is_score or spine.is_month_end or spine.is_week_end or spine.is_day then 1 else 0 end) as is_history,
    max(case when spine.is_month_end then 1 else 0 end) as is_month_end,
    max(case when spine.is_week_end then 1 else 0 end) as is_week_end,
    max(case when spine.is_day then 1 else 0 end) as is_day,
    max(case when spine.is_built then 1 else 0 end) as is_built,
    max(case when spine.is_risk_training then 1 else 0 end) as is_risk_training,
    max(case when spine.is_channel_training then 1 else 0 end) as is_channel_training
from {{ source('control', 'as_of_dates') }} as spine
cross join {{ source('control', 'run_parameters') }} as run
where spine.as_of_date <= run.as_of_date
group by spine.as_of_date
{% endmacro %}
