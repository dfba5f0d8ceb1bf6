"""The same book on DuckDB and PostgreSQL gives the same rows."""

from __future__ import annotations

import pytest

from tests.dbt.warehouses import KEYS, Built, row_differences


@pytest.mark.parametrize("table", KEYS)
def test_postgres_gives_the_rows_of_duckdb(on_duckdb: Built, on_postgres: Built, table: str) -> None:
    assert on_duckdb.tables[table], f"{table} is empty: the comparison would prove nothing"
    assert row_differences(on_duckdb.tables[table], on_postgres.tables[table]) == []
