{{ kpi_sums('messages') }}
