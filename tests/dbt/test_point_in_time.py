"""A past date gives the same rows whenever, with whatever and in whatever order it is built."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import pytest

from tests.dbt.book import AS_OF, Book
from tests.dbt.reference import loans_of
from tests.dbt.warehouses import Built, differences, row_differences

Rebuild = Callable[..., Built]


@pytest.mark.long
def test_order_of_delivery_changes_nothing(book: Book, on_duckdb: Built, rebuild: Rebuild) -> None:
    assert differences(on_duckdb, rebuild(book.shuffled(seed=3))) == []


@pytest.mark.long
def test_past_date_built_then_and_alone_gives_the_rows_of_today(book: Book, on_duckdb: Built, rebuild: Rebuild) -> None:
    """Built without anything that happened later, and as the only date: neither may show in the features."""
    for day in (AS_OF - timedelta(days=28 * 4), AS_OF - timedelta(days=1 + 7 * 3)):
        then = rebuild(delivered_on(book, day), models=["feat_loan__as_of", "feat_customer__as_of"])
        for table, flag in (
            ("features.feat_loan__as_of", "is_risk_training"),
            ("features.feat_customer__as_of", "is_channel_training"),
        ):
            now_rows = {
                key: without_flags(row) for key, row in on_duckdb.tables[table].items() if key[0] == day and row[flag]
            }
            then_rows = {key: without_flags(row) for key, row in then.tables[table].items() if key in now_rows}
            assert row_differences(now_rows, then_rows) == []
            assert bool(now_rows) == any(key[0] == day and row[flag] for key, row in on_duckdb.tables[table].items())


def test_history_of_marts_is_the_same_on_a_later_day(book: Book, on_duckdb: Built, rebuild: Rebuild) -> None:
    month_end = max(day for day, flags in book.spine.items() if "is_month_end" in flags and day < AS_OF)
    then = rebuild(delivered_on(book, month_end), models=["fct_loan_as_of"])
    now_rows = {
        key: without_flags(row) for key, row in on_duckdb.tables["marts.fct_loan_as_of"].items() if key[0] == month_end
    }
    then_rows = {key: without_flags(row) for key, row in then.tables["marts.fct_loan_as_of"].items()}
    assert now_rows
    assert row_differences(now_rows, then_rows) == []


def delivered_on(book: Book, day: date) -> Book:
    """What an institution would have delivered that day: no later event, and no loan closed that was still active."""
    known = book.known_on(day)
    for loan_id, loan in loans_of(book).items():
        if loan.status(day) == "active":
            known.tables["loans"] = [
                {**row, "status": "active", "closed_on": None, "written_off_on": None}
                if row["loan_id"] == loan_id
                else row
                for row in known.tables["loans"]
            ]
    return known


def without_flags(row: dict[str, Any]) -> dict[str, Any]:
    """What the row says, without for which purpose it was asked."""
    return {
        name: value
        for name, value in row.items()
        if name not in {"is_score", "is_month_end", "is_risk_training", "is_channel_training"}
    }
