{{ config(
    materialized='incremental',
    incremental_strategy='replace',
    meta={'replaced': "replaced.activity_date in (select activity_date from intermediate.int_changes__message_dates)"
        ~ " or replaced.activity_date < (select history_start_date from control.run_parameters)"},
) }}

select
    messages.sent_date as activity_date,
    messages.branch_id,
    messages.product_code,
    messages.segment_code,
    messages.channel_code,
    messages.campaign_id,
    count(*) as message_count,
    count(case when is_sent then 1 end) as message_sent_count,
    count(case when is_delivered then 1 end) as message_delivered_count,
    count(case when is_read then 1 end) as message_read_count,
    count(case when is_failed then 1 end) as message_failed_count,
    count(case when has_responded then 1 end) as message_responded_count,
    count(case when has_opted_out_in_time then 1 end) as message_opt_out_count,
    count(case when outcome_code = 'complaint' then 1 end) as message_complained_count
from {{ ref('fct_messages') }} as messages
inner join {{ ref('int_changes__message_dates') }} as changed on messages.sent_date = changed.activity_date
group by
    messages.sent_date,
    messages.branch_id,
    messages.product_code,
    messages.segment_code,
    messages.channel_code,
    messages.campaign_id
