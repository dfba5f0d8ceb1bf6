{{ kpi_sums('contacts') }}
