-- What is due and what is paid meets anew for a loan that changed, and for one of which an instalment fell due since.
select loan_id from {{ ref('int_changes__loans') }}
union
select installments.loan_id
from {{ ref('int_installments__scheduled') }} as installments
cross join {{ source('control', 'run_parameters') }} as run
where installments.due_date > run.built_as_of_date and installments.due_date <= run.as_of_date
