{{ config(schema='intermediate', materialized='table') }}
{%- set time_pattern = '^.{10}[T ]([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9]([.][0-9]{1,6})?)?' -%}
{%- set zone_pattern = '(Z|[+-](0[0-9]|1[0-4])(:?[0-5][0-9])?)$' %}

-- Payments that the door turned away and that never came again. Amounts and days are read where they are written as the
-- contract writes them, under the contract's names; otherwise they stay NULL. A row that gave way to a newer version of
-- its key, or whose key was accepted, is not missing. A row without a key is the same as one of another load when all that
-- it says is the same; of rows of one load that are the same each counts.
with rejected as (
    select
        rejections.*,
        coalesce(rejections.row_key, '') = '' as is_without_key,
        row_number() over (
            partition by rejections.load_id, coalesce(rejections.row_key, ''), rejections.row_json
            order by {{ bytewise("coalesce(rejections.source_file, '')") }}, rejections.source_row nulls last
        ) as same_no
    from {{ source('raw', 'rejected_rows') }} as rejections
    where rejections.table_name = 'payments'
),

delivered as (
    select
        case
            when not rejected.is_without_key then rejected.row_key
            else 'load:' || coalesce(cast(rejected.load_id as text), '') || '/' || coalesce(rejected.source_file, '')
                || ':' || coalesce(cast(rejected.source_row as text), '')
        end as payment_id,
        rejected.load_id,
        rejected.source_row,
        rejected.reasons,
        rejected.loaded_at,
        {{ json_value('rejected.row_json', 'loan_id') }} as loan_id,
        {{ json_value('rejected.row_json', 'amount') }} as amount_text,
        {{ json_value('rejected.row_json', 'paid_at') }} as paid_text,
        {{ json_value('rejected.row_json', 'reverses_payment_id') }} as reverses_payment_id,
        row_number() over (
            partition by
                coalesce(rejected.row_key, ''),
                case when rejected.is_without_key then rejected.row_json end,
                case when rejected.is_without_key then rejected.same_no end
            order by rejected.load_id desc nulls last, rejected.source_row desc nulls last
        ) as version_rank
    from rejected
    left join {{ source('raw', 'payments') }} as accepted on rejected.row_key = accepted.payment_id
    where accepted.payment_id is null
),

-- The day as it is written, as long as its month has it.
dated as (
    select
        delivered.*,
        case
            when paid_text ~ '^[1-9][0-9]{3}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])([T ].*)?$' then
                {{ add_days(
                    "cast(substr(paid_text, 1, 7) || '-01' as date)", 'cast(substr(paid_text, 9, 2) as integer) - 1'
                ) }}
        end as written_date
    from delivered
    where version_rank = 1
),

checked as (
    select
        dated.*,
        case
            when written_date is not null then extract(month from written_date) = cast(substr(paid_text, 6, 2) as integer)
        end as is_day
    from dated
)

select
    payment_id,
    nullif(loan_id, '') as loan_id,
    {{ money("case
        when amount_text ~ '^-?[0-9]{1,12}([.][0-9]{1,2})?$'
            then cast(amount_text as numeric(18, 2))
                * case when coalesce(reverses_payment_id, '') = '' then 1 else -1 end
    end") }} as payment_amount,
    -- A time with a zone has its day where the institution is; one without a zone is the institution's own, as at the door.
    case
        when not coalesce(is_day, false) then null
        when paid_text ~ '{{ time_pattern ~ zone_pattern }}'
            then {{ local_date("(cast(paid_text as timestamp with time zone) at time zone 'UTC')") }}
        else written_date
    end as paid_date,
    reasons,
    load_id,
    loaded_at
from checked
