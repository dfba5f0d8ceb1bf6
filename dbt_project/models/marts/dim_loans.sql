select
    loans.loan_id,
    loans.customer_id,
    loans.branch_id,
    loans.officer_id,
    loans.guarantor_id,
    loans.product_code,
    loans.currency_code,
    loans.collateral_code,
    {{ loan_status('lifespans', 'run.as_of_date') }} as loan_status_code,
    {{ money('loans.principal_amount') }} as principal_amount,
    lifespans.installment_count,
    cast(loans.annual_rate as double precision) as annual_rate,
    cast(loans.term_months as bigint) as term_months,
    coalesce(loans.restructured_date <= run.as_of_date, false) as is_restructured,
    loans.disbursed_date,
    loans.maturity_date,
    case when lifespans.closed_date <= run.as_of_date then lifespans.closed_date end as closed_date,
    case when lifespans.written_off_date <= run.as_of_date then lifespans.written_off_date end as written_off_date,
    case when loans.restructured_date <= run.as_of_date then loans.restructured_date end as restructured_date
from {{ ref('stg_core__loans') }} as loans
inner join {{ ref('int_loans__lifespans') }} as lifespans on loans.loan_id = lifespans.loan_id
cross join {{ source('control', 'run_parameters') }} as run
where loans.disbursed_date <= run.as_of_date
