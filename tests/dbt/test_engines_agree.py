"""The same book on DuckDB and PostgreSQL gives the same rows, in every table that others read."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.dbt.warehouses import Built, described, row_differences

FILLED = {
    "marts.dim_collectors", "marts.dim_contact_points", "marts.fct_interactions", "marts.fct_loan_as_of",
    "marts.fct_payment_matches", "marts.fct_payments", "marts.fct_promises", "features.feat_customer__as_of",
    "features.feat_loan__as_of", "features.label_customer__contact_response", "features.label_loan__default",
    "features.feat_customer__recovery", "features.feat_promise__as_of", "features.label_customer__recovery",
    "features.label_promise__kept",
    "features.panel_customer__week",
    "kpis.fct_kpi", "kpis.kpi_portfolio", "reporting.rpt_arrears_movement", "reporting.rpt_contacts",
    "reporting.rpt_portfolio", "reporting.rpt_promise_lives", "star.dim_customers", "star.fct_kpi", "star.fct_loan_as_of",
}  # fmt: skip
"""Tables of which the small book surely has rows; what needs decisions or core balances is compared on the demo."""


def test_every_table_has_a_key(on_duckdb: Built, dbt_folder: Path) -> None:
    without = [name for name, spec in described(dbt_folder).items() if not spec.key]
    # Seeds are compared by all their columns; the others are united into fct_kpi, which has a key.
    assert [name for name in without if not name.startswith(("reference.", "kpis.kpi_values__"))] == []


@pytest.mark.long
def test_both_engines_build_every_table(on_duckdb: Built, on_postgres: Built, dbt_folder: Path) -> None:
    assert on_duckdb.tables.keys() == on_postgres.tables.keys() == described(dbt_folder).keys()


def test_the_comparison_has_something_to_compare(on_duckdb: Built) -> None:
    assert sorted(table for table in FILLED if not on_duckdb.tables[table]) == []


@pytest.mark.long
def test_postgres_gives_the_rows_of_duckdb(on_duckdb: Built, on_postgres: Built) -> None:
    found = {table: row_differences(rows, on_postgres.tables[table]) for table, rows in on_duckdb.tables.items()}
    assert {table: (len(rows), rows[:3]) for table, rows in found.items() if rows} == {}
