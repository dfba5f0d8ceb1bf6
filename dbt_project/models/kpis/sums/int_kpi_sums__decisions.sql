{{ kpi_sums('decisions') }}
