"""The weekly panel of members against the slow engine, week by week and loan by loan."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

from tests.dbt.book import Book
from tests.dbt.reference import Rules, loans_of
from tests.dbt.warehouses import Built

WEEKS = 104
TABLE = "features.panel_customer__week"


def slow_panel(book: Book) -> dict[tuple, dict]:
    """Weeks end on the day before the run's date and every seven days before."""
    found: dict[tuple, dict] = {}
    for loan in loans_of(book).values():
        for week in range(WEEKS):
            end = book.as_of - timedelta(days=1 + 7 * week)
            start = end - timedelta(days=7)
            asked = [due for due in loan.schedule if due["due_on"] <= end]
            if loan.row["disbursed_on"] > start or loan.status(start) != "active" or not asked:
                continue
            owed = sum(map(loan.total, asked), Decimal(0)) - max(loan.paid(start), Decimal(0))
            if owed <= Rules().tolerance:
                continue
            oldest = loan.schedule[loan.covered_count(start)]["due_on"]
            row = found.setdefault(
                (end, loan.row["customer_id"]),
                {
                    "week_end_date": end,
                    "customer_id": loan.row["customer_id"],
                    "owing_loan_count": 0,
                    "days_since_due": (start - oldest).days,
                    "collectable_amount": Decimal(0),
                    "installment_amount": Decimal(0),
                    "paid_amount": Decimal(0),
                },
            )
            row["owing_loan_count"] += 1
            row["days_since_due"] = max(row["days_since_due"], (start - oldest).days)
            row["collectable_amount"] += owed
            row["installment_amount"] += loan.total(asked[-1])
            row["paid_amount"] += loan.net(start + timedelta(days=1), end)
    return found


def test_every_week_of_every_member_is_that_of_the_slow_engine(book: Book, on_duckdb: Built) -> None:
    expected = slow_panel(book)
    assert len(expected) > 1_000
    assert on_duckdb.tables[TABLE] == expected
