"""What people write into a cell: every usual way is understood, and nothing is guessed."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from puntual.lists.texts import money
from puntual.worklists.values import read_amount, read_date, read_time


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (datetime(2026, 7, 3), date(2026, 7, 3)),  # noqa: DTZ001 - as a cell has it
        (46206.0, date(2026, 7, 3)),  # days since 30 December 1899
        ("3/7/2026", date(2026, 7, 3)),  # the day comes first
        ("03-07-2026", date(2026, 7, 3)),
        ("2026-07-03 00:00:00", date(2026, 7, 3)),
        ("31/02/2026", None),
        ("3 de julio", None),
        ("07/2026", None),
        (3, None),
        (True, None),
    ],
)
def test_dates(written: Any, expected: date | None) -> None:
    assert read_date(written) == expected


@pytest.mark.parametrize(
    ("written", "decimal", "expected"),
    [
        (120.5, ",", "120.50"),
        (0.1 + 0.2, ",", "0.30"),  # 0.30000000000000004
        ("1.234", ",", "1234.00"),
        ("1,234", ",", None),  # three decimals
        ("1,234", ".", "1234.00"),
        ("12,5", ".", "12.50"),
        ("USD 1.234,50", ",", "1234.50"),
        ("$ 80", ",", "80.00"),
        ("-5", ",", "-5.00"),
        ("80 dólares", ",", None),
        ("=1+1", ",", None),
        ("NaN", ",", None),
        (float("inf"), ",", None),
        ("1e9", ",", "1000000000.00"),
        (10.005, ",", None),
        (True, ",", None),
    ],
)
def test_amounts(written: Any, decimal: str, expected: str | None) -> None:
    assert read_amount(written, decimal) == (None if expected is None else Decimal(expected))


@given(st.integers(0, 10**9), st.sampled_from(["es", "en"]))
def test_an_amount_is_read_as_the_language_writes_it(cents: int, language: str) -> None:
    decimal = "," if language == "es" else "."
    assert read_amount(money(cents / 100, "USD", language), decimal) == Decimal(cents) / 100


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (time(10, 30, 20), time(10, 30)),
        (datetime(1899, 12, 30, 8, 5), time(8, 5)),  # noqa: DTZ001 - as a cell has it
        (timedelta(hours=9, minutes=15), time(9, 15)),
        ("7h05", time(7, 5)),
        ("12:10 am", time(0, 10)),
        ("12:10 p.m.", time(12, 10)),
        ("13:10 pm", None),
        ("25:00", None),
        ("00:00", None),  # stands for a time that is not known
        (10, None),
        ("mañana", None),
    ],
)
def test_times(written: Any, expected: time | None) -> None:
    assert read_time(written) == expected
