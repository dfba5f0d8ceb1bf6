"""The book of the flow KPIs, built once per session and reading."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.golden.flows import Kpis, come_back, flow_book, kpis_on_duckdb


@pytest.fixture(scope="session")
def flows_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One path for all builds, so that dbt parses its project once."""
    return tmp_path_factory.mktemp("flows")


@pytest.fixture(scope="session")
def flows(flows_folder: Path) -> Kpis:
    """The flow KPIs as an institution has them without settings of its own."""
    return kpis_on_duckdb(flow_book(), flows_folder)


# The second reading of every choice that the dictionary leaves open; few builds, because each takes half a minute.
OTHER_READINGS = {
    "recovery_horizon_days": 10,
    "prepayments": "included",
    "cost_reading": "recorded",
    "promise_tolerance_share": 0.25,
    "message_response_hours": 73,
    "message_opt_out_days": 9,
    "message_receipt_days": 31,
    "working_day_start_hour": 9,
    "working_day_end_hour": 17,
}


@pytest.fixture(scope="session")
def flows_read_otherwise(flows_folder: Path, flows: Kpis) -> Kpis:
    """The same book under OTHER_READINGS. Asks for the first one, so that nobody reads its file meanwhile."""
    return kpis_on_duckdb(flow_book(), flows_folder, OTHER_READINGS)


@pytest.fixture(scope="session")
def flows_strict(flows_folder: Path, flows_read_otherwise: Kpis) -> Kpis:
    """The same book where A agrees again, the due day is past due, a cohort has 31 days, a promise almost the tolerance that it needs, and pesos are paid."""
    settings = {"due_day_is_past_due": True, "recovery_horizon_days": 31, "promise_tolerance_share": 0.24,
                "currency": "MXN"}  # fmt: skip
    book = flow_book()
    come_back(book)
    return kpis_on_duckdb(book, flows_folder, settings)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What asks for a book under other readings builds the KPIs anew: a test of the long ones."""
    for item in items:
        asked = set(getattr(item, "fixturenames", ()))
        if {"flows_read_otherwise", "flows_strict", "portfolio_read_otherwise"} & asked:
            item.add_marker("long")
