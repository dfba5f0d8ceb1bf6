-- Everything is read from raw and staging, never from tables that the run itself rewrites: a run that crashed half-way is
-- simply done again. A row that says more than it must costs time, one that is missing is a wrong figure.
with run as (
    select * from {{ source('control', 'run_parameters') }}
),

payment_versions as (
    {{ changed_versions('payments', ['payment_id'], ['loan_id', 'paid_at']) }}
),

-- Money that came, was corrected, moved to another loan or was taken back; or that lies in the days since.
payments as (
    select
        loan_id,
        {{ local_date('paid_at') }} as paid_date
    from payment_versions

    union all

    select
        payments.loan_id,
        {{ local_date('payments.paid_at') }} as paid_date
    from {{ ref('stg_core__payments') }} as payments
    cross join run
    where {{ fell_into_the_run('payments.paid_at') }}
),

paid as (
    select
        loan_id,
        min(paid_date) as from_date
    from payments
    where loan_id is not null
    group by loan_id
),

schedules as (
    select distinct loan_id
    from {{ source('raw', 'installments') }}
    where _load_id > (select built_load_id from run)
),

loan_versions as (
    {{ changed_versions('loans', ['loan_id'], ['customer_id', 'branch_id', 'product', 'currency', 'principal', 'disbursed_on', 'maturity_on', 'status', 'closed_on', 'written_off_on', 'restructured_on', 'updated_at']) }}
),

named as (
    select
        loan_versions.loan_id,
        loan_versions.customer_id,
        loan_versions.branch_id,
        loan_versions.product,
        loan_versions.currency,
        loan_versions.principal,
        loan_versions.disbursed_on as disbursed_date,
        loan_versions.maturity_on as maturity_date,
        loan_versions.status as source_status_code,
        loan_versions.closed_on as closed_date,
        loan_versions.written_off_on as written_off_date,
        loan_versions.restructured_on as restructured_date,
        loan_versions.updated_at,
        coalesce(loan_versions._is_deleted, false) as is_deleted,
        loan_versions._load_id <= run.built_load_id as is_old,
        row_number() over (
            partition by loan_versions.loan_id, loan_versions._load_id <= run.built_load_id
            order by loan_versions._load_id desc nulls last, loan_versions._source_row desc nulls last
        ) as version_rank
    from loan_versions
    cross join run
),

dated as (
    select
        named.*,
        {{ written_off_date('named') }} as left_written_off_date,
        -- Without a date of its own it depends on payments: then no day is safe.
        {{ closed_date('named', 'null') }} as left_closed_date,
        source_status_code = 'closed' and closed_date is null as is_closed_some_day
    from named
),

-- Each newer version against the one that was built; versions in between are what a crashed run may have left.
loans as (
    select
        newer.loan_id,
        case
            when
                built.loan_id is null or built.is_deleted or newer.is_deleted
                or built.is_closed_some_day or newer.is_closed_some_day
                or newer.customer_id is distinct from built.customer_id
                or newer.branch_id is distinct from built.branch_id
                or newer.product is distinct from built.product
                or newer.currency is distinct from built.currency
                or newer.principal is distinct from built.principal
                or newer.disbursed_date is distinct from built.disbursed_date
                then cast('1900-01-01' as date)
            else least(
                {% for name in ['left_written_off_date', 'left_closed_date', 'restructured_date'] -%}
                case when newer.{{ name }} is distinct from built.{{ name }} then least(newer.{{ name }}, built.{{ name }}) end
                {%- if not loop.last %},{% endif %}
                {% endfor -%}
            )
        end as from_date
    from dated as newer
    left join dated as built
        on newer.loan_id = built.loan_id
        and built.is_old
        and built.version_rank = 1
    where not newer.is_old
),

changes as (
    select
        loans.loan_id,
        cast('1900-01-01' as date) as from_date,
        1 as has_new_schedule
    from {{ ref('stg_core__loans') }} as loans
    cross join run
    where run.is_full_build

    union all

    select
        paid.loan_id,
        -- Its closing day may be the day of its last payment.
        case
            when loans.source_status_code = 'closed' and loans.closed_date is null then cast('1900-01-01' as date)
            else paid.from_date
        end,
        0
    from paid
    left join {{ ref('stg_core__loans') }} as loans on paid.loan_id = loans.loan_id

    union all

    select loan_id, cast('1900-01-01' as date), 1 from schedules

    union all

    select loan_id, from_date, 0 from loans where from_date is not null
)

select
    loan_id,
    min(from_date) as from_date,
    max(has_new_schedule) = 1 as has_new_schedule
from changes
group by loan_id
