"""The same book on DuckDB and PostgreSQL gives the same rows, in every table that others read."""

from __future__ import annotations

from pathlib import Path

from tests.dbt.warehouses import Built, described, row_differences

EMPTY_IN_THE_BOOK: set[str] = set()
"""Tables for which the small book has no row; the demo's comparison (test-all) fills them."""


def test_every_table_has_a_key(on_duckdb: Built, dbt_folder: Path) -> None:
    without = [name for name, spec in described(dbt_folder).items() if not spec.key]
    # Seeds are compared by all their columns; the others are united into fct_kpi, which has a key.
    assert [name for name in without if not name.startswith(("reference.", "kpis.kpi_values__"))] == []


def test_both_engines_build_every_table(on_duckdb: Built, on_postgres: Built, dbt_folder: Path) -> None:
    assert on_duckdb.tables.keys() == on_postgres.tables.keys() == described(dbt_folder).keys()


def test_the_comparison_has_something_to_compare(on_duckdb: Built) -> None:
    assert {table for table, rows in on_duckdb.tables.items() if not rows} == EMPTY_IN_THE_BOOK


def test_postgres_gives_the_rows_of_duckdb(on_duckdb: Built, on_postgres: Built) -> None:
    found = {table: row_differences(rows, on_postgres.tables[table]) for table, rows in on_duckdb.tables.items()}
    assert {table: (len(rows), rows[:3]) for table, rows in found.items() if rows} == {}
