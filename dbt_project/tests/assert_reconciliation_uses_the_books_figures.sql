{{ config(meta={'dagster': {'ref': {'name': 'fct_loan_reconciliation'}}}) }}
-- Where the book keeps the day of the balances, its figures of it are the ones that are compared.
select
    compared.loan_id,
    compared.as_of_date
from {{ ref('fct_loan_reconciliation') }} as compared
inner join {{ ref('fct_loan_as_of') }} as book
    on compared.loan_id = book.loan_id
    and compared.as_of_date = book.as_of_date
where
    compared.arrears_amount <> book.arrears_amount
    or compared.outstanding_principal_amount <> book.outstanding_principal_amount
    or compared.past_due_days <> book.past_due_days
    or compared.loan_status_code <> book.loan_status_code
