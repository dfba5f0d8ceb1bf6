{{ config(schema='intermediate', materialized='table') }}

-- Payments that the door turned away and that never came again. Amounts and days are read where they are written as the
-- contract writes them, under the contract's names; otherwise they stay NULL. A row that gave way to a newer version of
-- its key, or whose key was accepted, is not missing.
with delivered as (
    select
        rejected.row_key as payment_id,
        rejected.load_id,
        rejected.source_row,
        rejected.reasons,
        rejected.loaded_at,
        {{ json_value('rejected.row_json', 'loan_id') }} as loan_id,
        {{ json_value('rejected.row_json', 'amount') }} as amount_text,
        {{ json_value('rejected.row_json', 'paid_at') }} as paid_text,
        {{ json_value('rejected.row_json', 'reverses_payment_id') }} as reverses_payment_id,
        row_number() over (
            partition by rejected.row_key
            order by rejected.load_id desc nulls last, rejected.source_row desc nulls last
        ) as version_rank
    from {{ source('raw', 'rejected_rows') }} as rejected
    left join {{ source('raw', 'payments') }} as accepted on rejected.row_key = accepted.payment_id
    where
        rejected.table_name = 'payments'
        and rejected.row_key <> ''
        and accepted.payment_id is null
)

select
    payment_id,
    nullif(loan_id, '') as loan_id,
    {{ money("case
        when amount_text ~ '^-?[0-9]{1,12}([.][0-9]{1,2})?$'
            then cast(amount_text as numeric(18, 2)) * case when coalesce(reverses_payment_id, '') = '' then 1 else -1 end
    end") }} as payment_amount,
    case
        when paid_text ~ '^[0-9]{4}-[0-9]{2}-[0-9]{2}' then cast(substr(paid_text, 1, 10) as date)
    end as paid_date,
    reasons,
    load_id,
    loaded_at
from delivered
where version_rank = 1
