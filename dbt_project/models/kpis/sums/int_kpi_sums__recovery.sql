{{ kpi_sums('recovery') }}
