"""Promises as they stood on a day, and what members paid within the horizon: neither knows what came later."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal

import pytest

from tests.dbt.book import AS_OF, Book
from tests.dbt.test_point_in_time import delivered_on
from tests.dbt.warehouses import Built, row_differences

GRACE, HORIZON = timedelta(days=2), timedelta(days=30)
Rebuild = Callable[..., Built]


@pytest.mark.slow
def test_a_look_at_a_promise_is_what_that_day_would_have_scored(book: Book, on_duckdb: Built, rebuild: Rebuild) -> None:
    """Built with nothing that happened later, the row that is scored on the day is the row that is learnt from."""
    looks = on_duckdb.rows("features.feat_promise__as_of", is_score=False)
    days = sorted({row["as_of_date"] for row in looks})
    day = max(days, key=lambda one: sum(row["as_of_date"] == one for row in looks))
    then = rebuild(delivered_on(book, day), models=["feat_promise__as_of"])
    learnt = {row["promise_id"]: {**row, "is_score": True} for row in looks if row["as_of_date"] == day}
    scored = {
        row["promise_id"]: row
        for row in then.rows("features.feat_promise__as_of", is_score=True)
        if row["promise_id"] in learnt
    }
    assert learnt
    assert row_differences(learnt, scored) == []


def test_only_settled_promises_have_a_label_and_it_is_their_fate(on_duckdb: Built) -> None:
    labels = on_duckdb.rows("features.label_promise__kept")
    promises = {row["promise_id"]: row for row in on_duckdb.rows("marts.fct_promises")}
    assert {row["is_kept"] for row in labels} == {True, False}
    for row in labels:
        promise = promises[row["promise_id"]]
        assert row["grace_end_date"] == promise["due_date"] + GRACE < AS_OF
        assert row["is_kept"] == (promise["promise_status_code"] == "kept")
    looks = on_duckdb.rows("features.feat_promise__as_of", is_score=False)
    assert {row["promise_id"] for row in looks} <= {row["promise_id"] for row in labels}
    for row in looks:
        promise = promises[row["promise_id"]]
        assert (row["as_of_date"] - promise["made_date"]).days % 3 == 0
        assert row["as_of_date"] < promise["grace_end_date"] and row["days_to_grace_end"] >= 1
        assert promise["kept_date"] is None or row["as_of_date"] < promise["kept_date"] or row["missing_rate"] > 0


def test_open_promises_and_no_others_are_scored(on_duckdb: Built) -> None:
    running = {
        row["promise_id"] for row in on_duckdb.rows("marts.fct_promises") if row["promise_status_code"] == "open"
    }
    scored = on_duckdb.rows("features.feat_promise__as_of", is_score=True)
    assert {row["promise_id"] for row in scored} == running != set()
    assert {row["as_of_date"] for row in scored} == {AS_OF}


def test_recovery_is_what_came_on_the_near_loans_within_the_horizon(on_duckdb: Built) -> None:
    labels = on_duckdb.rows("features.label_customer__recovery")
    # The newest weekly date whose 30 days ended before the run's date, and the fourth one before it.
    assert {row["as_of_date"] for row in labels} == {AS_OF - timedelta(days=1 + 7 * k) for k in (5, 9)}
    payments = on_duckdb.rows("marts.fct_payments")
    owned: dict[str, set[str]] = {}
    for loan in on_duckdb.rows("marts.dim_loans"):
        owned.setdefault(loan["customer_id"], set()).add(loan["loan_id"])
    asked = {
        (row["as_of_date"], row["customer_id"]): row
        for row in on_duckdb.rows("features.feat_customer__recovery", is_score=False)
    }
    assert asked.keys() == {(row["as_of_date"], row["customer_id"]) for row in labels}
    judged = 0
    for row in labels:
        loans = owned[row["customer_id"]]
        horizon = asked[row["as_of_date"], row["customer_id"]]
        assert horizon["owed_within_horizon_amount"] >= horizon["due_within_horizon_amount"] >= 0
        if horizon["near_loan_count"] != len(loans):
            continue  # some of the member's loans are far from arrears, and the table does not name them
        came = sum(
            (
                payment["payment_amount"]
                for payment in payments
                if payment["loan_id"] in loans
                and row["as_of_date"] < payment["paid_date"] <= row["as_of_date"] + HORIZON
            ),
            Decimal(0),
        )
        assert row["recovered_amount"] == max(came, Decimal(0))
        judged += came > 0
    assert judged >= 5


def test_what_is_asked_within_the_horizon_is_arrears_and_dues(on_duckdb: Built) -> None:
    """Of members with one loan: what their loan is in arrears with, and at least what the shorter window asks for."""
    features = {row["customer_id"]: row for row in on_duckdb.rows("features.feat_customer__as_of", is_score=True)}
    rows = on_duckdb.rows("features.feat_customer__recovery", is_score=True)
    alone = [row for row in rows if features[row["customer_id"]]["active_loan_count"] == 1]
    assert len(alone) >= 5
    for row in alone:
        member = features[row["customer_id"]]
        assert row["owed_within_horizon_amount"] == member["arrears_amount"] + row["due_within_horizon_amount"]
        assert row["due_within_horizon_amount"] >= member["due_next_window_amount"]
