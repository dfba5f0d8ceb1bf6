"""Tables of a published snapshot as files for people and spreadsheets: XLSX, CSV, Parquet."""
