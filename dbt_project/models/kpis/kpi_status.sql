-- Where every KPI of the catalogue stands in this run: on, off (the contract carries no input for it) or no_data (an input that
-- the contract carries was not delivered, or a model has not spoken yet), and what its reader must be warned of.
{%- set tables = {
    'loans': ref('stg_core__loans'),
    'installments': ref('stg_core__installments'),
    'payments': ref('stg_core__payments'),
    'customers': ref('stg_core__customers'),
    'contact_points': ref('stg_core__contact_points'),
    'interactions': ref('stg_core__interactions'),
    'promises': ref('stg_core__promises'),
    'message_events': ref('stg_core__message_events'),
    'collectors': ref('stg_core__collectors'),
    'branches': ref('stg_core__branches'),
    'loan_balances': ref('stg_core__loan_balances'),
    'default_risk_scores': source('ml', 'default_risk_scores'),
    'channel_scores': source('ml', 'channel_scores'),
    'decisions': source('decisions', 'decisions'),
} %}
{%- set texts = {
    'es': {
        'no_shares': 'La tabla de calificación ' ~ var('rating_table') ~ ' no trae porcentajes de provisión.',
        'not_delivered': 'No se han entregado datos de:',
        'zero_denominator': 'El denominador es cero en todos los períodos que se conservan.',
        'no_case': 'No hay casos en los períodos que se conservan.',
        'unverified': 'Usa la tabla de calificación ' ~ var('rating_table') ~ ', leída en una fuente secundaria: confírmela con la norma vigente de la SEPS y la JPRF antes de informar.',
    },
    'en': {
        'no_shares': 'The rating table ' ~ var('rating_table') ~ ' has no provision percentages.',
        'not_delivered': 'No data was delivered of:',
        'zero_denominator': 'The denominator is zero in every period that is kept.',
        'no_case': 'There is no case in the periods that are kept.',
        'unverified': 'Uses the rating table ' ~ var('rating_table') ~ ', read in a secondary source: confirm it against the SEPS and JPRF text in force before reporting.',
    },
} %}
with inputs as (
    {% for name, relation in tables.items() -%}
    select '{{ name }}' as input_name, exists (select 1 from {{ relation }}) as has_rows{% if not loop.last %}
    union all
    {% endif %}
    {%- endfor %}
),

missing as (
    select
        catalog.kpi_code,
        string_agg(inputs.input_name, ', ' order by inputs.input_name) as missing_inputs
    from {{ ref('kpi_catalog') }} as catalog
    inner join inputs on '|' || catalog.inputs || '|' like '%|' || inputs.input_name || '|%'
    where not inputs.has_rows
    group by catalog.kpi_code
),

produced as (
    select
        kpi_code,
        count(*) as row_count,
        count(value) as value_count
    from {{ ref('fct_kpi') }}
    group by kpi_code
),

rating as (
    select
        max(case when confidence = 'verified' then 1 else 0 end) as is_verified,
        count(provision_share) as share_count
    from {{ ref('rating_tables') }}
    where table_code = '{{ var("rating_table") }}'
)

select
    run.as_of_date,
    catalog.kpi_code,
    case
        when catalog.status = 'off' then 'off'
        when coalesce(produced.value_count, 0) = 0 then 'no_data'
        else 'on'
    end as status_code,
    cast(coalesce(produced.row_count, 0) as bigint) as row_count,
    {%- for language, text in texts.items() %}
    case
        when catalog.status = 'off' then catalog.off_reason_{{ language }}
        when coalesce(produced.value_count, 0) > 0 then null
        when catalog.kpi_code like 'K24%' and rating.share_count = 0 then '{{ text.no_shares }}'
        when measured.reason_{{ language }} is not null then measured.reason_{{ language }}
        when missing.missing_inputs is not null then '{{ text.not_delivered }} ' || missing.missing_inputs || '.'
        when coalesce(produced.row_count, 0) > 0 then '{{ text.zero_denominator }}'
        else '{{ text.no_case }}'
    end as reason_{{ language }},
    {%- endfor %}
    {%- for language, text in texts.items() %}
    case
        when catalog.kpi_code like 'K24%' and catalog.status = 'on' and rating.is_verified = 0 then '{{ text.unverified }}'
    end as warning_{{ language }}{{ ',' if not loop.last }}
    {%- endfor %}
from {{ ref('kpi_catalog') }} as catalog
cross join {{ source('control', 'run_parameters') }} as run
cross join rating
left join produced on catalog.kpi_code = produced.kpi_code
left join missing on catalog.kpi_code = missing.kpi_code
-- A model or a decision says itself why it could not be measured.
left join {{ source('measured', 'kpi_status') }} as measured
    on catalog.kpi_code = measured.kpi_code
    and run.as_of_date = measured.as_of_date
