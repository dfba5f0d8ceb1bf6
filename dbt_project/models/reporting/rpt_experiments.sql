-- What every experiment says on each of its days, as the run of the date measured it.
select measured.*
from {{ source('measured', 'experiments') }} as measured
inner join {{ source('control', 'run_parameters') }} as run on measured.as_of_date = run.as_of_date
