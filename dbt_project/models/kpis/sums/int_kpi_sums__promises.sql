{{ kpi_sums('promises') }}
