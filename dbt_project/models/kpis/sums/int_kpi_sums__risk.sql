{{ kpi_sums('risk') }}
