{{ kpi_sums('portfolio') }}
