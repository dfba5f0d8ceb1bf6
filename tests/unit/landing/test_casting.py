"""Delivered text to typed values, one expression at a time."""

from datetime import date, datetime
from decimal import Decimal

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from puntual.landing import casting

CONNECTION = duckdb.connect()
CONNECTION.execute("set timezone = 'UTC'")


def cast(value, target, *, delivered="VARCHAR", decimal_comma=False, timezone="America/Guayaquil"):
    source = casting.source("v", delivered)
    expression = casting.typed("s", delivered, target, timezone=timezone, decimal_comma=decimal_comma)
    sql = f"select {expression} from (select {source} as s from (select cast(? as {delivered}) as v))"
    return CONNECTION.execute(sql, [value]).fetchall()[0][0]


@pytest.mark.parametrize(
    ("text", "decimal_comma", "expected"),
    [
        ("1234.5", False, "1234.50"),
        ("1,234.5", False, "1234.50"),
        ("-0.01", False, "-0.01"),
        ("12.345", False, "12.35"),
        ("1.5e3", False, "1500.00"),
        (" 7 ", False, "7.00"),
        ("1234,5", True, "1234.50"),
        ("1.234,5", True, "1234.50"),
        ("1.234", True, "1234.00"),
        ("1,234,5", False, None),
        ("1.23.4", True, None),
        ("1_000", False, None),
        ("0x10", False, None),
        ("inf", False, None),
        ("$5", False, None),
        ("999999999999999", False, None),
        ("", False, None),
        ("NULL", False, None),
    ],
)
def test_money(text, decimal_comma, expected):
    found = cast(text, "money", decimal_comma=decimal_comma)
    assert found == (None if expected is None else Decimal(expected))


@given(cents=st.integers(-(10**13), 10**13), comma=st.booleans(), grouped=st.booleans())
@settings(max_examples=150, deadline=None)
def test_money_survives_every_way_of_writing_it(cents, comma, grouped):
    text = f"{Decimal(cents) / 100:{',' if grouped else ''}.2f}"
    if comma:
        text = text.translate(str.maketrans(",.", ".,"))
    assert cast(text, "money", decimal_comma=comma) == Decimal(cents) / 100


@given(cents=st.integers(-(10**11), 10**11))
@settings(max_examples=150, deadline=None)
def test_money_in_floats_is_exact_to_the_cent(cents):
    assert cast(cents / 100, "money", delivered="DOUBLE") == Decimal(cents) / 100


@given(
    day=st.dates(date(1900, 1, 1), date(2199, 12, 31)),
    form=st.sampled_from(["%Y-%m-%d", "%d/%m/%Y", "%d-%m-%Y", "%d.%m.%Y", "%Y%m%d", "%Y/%m/%d"]),
)
@settings(max_examples=150, deadline=None)
def test_dates_survive_every_way_of_writing_them(day, form):
    assert cast(day.strftime(form), "date") == day


@pytest.mark.parametrize("text", ["31/02/2026", "2026-13-01", "03/15/2026", "soon", "0000-00-00", "infinity"])
def test_what_is_no_date_is_none(text):
    assert cast(text, "date") is None


@pytest.mark.parametrize(
    ("text", "utc"),
    [
        ("2026-03-10 10:00:00", "2026-03-10 15:00:00"),
        ("2026-03-10T10:00", "2026-03-10 15:00:00"),
        ("10/03/2026 10:00", "2026-03-10 15:00:00"),
        ("10/03/2026", "2026-03-10 05:00:00"),
        ("2026-03-10T10:00:00Z", "2026-03-10 10:00:00"),
        ("2026-03-10 10:00:00+00", "2026-03-10 10:00:00"),
        ("2026-03-10T10:00:00.5-05:00", "2026-03-10 15:00:00.5"),
        ("2026-03-10T10:00:00-0300", "2026-03-10 13:00:00"),
        ("2026-03-10 25:00:00", None),
        ("infinity", None),
    ],
)
def test_timestamps(text, utc):
    assert cast(text, "timestamp") == (None if utc is None else datetime.fromisoformat(utc))


def test_a_zoned_moment_in_a_date_column_is_the_local_day():
    assert cast("2026-03-10T02:00:00Z", "date") == date(2026, 3, 9)


@pytest.mark.parametrize(
    ("text", "expected"), [("SI", True), ("sí", True), ("0", False), ("False", False), ("maybe", None)]
)
def test_booleans(text, expected):
    assert cast(text, "boolean") is expected


@pytest.mark.parametrize(
    ("value", "delivered", "expected"),
    [
        ("12", "VARCHAR", 12),
        ("12.0", "VARCHAR", 12),
        ("12.5", "VARCHAR", None),
        (12.0, "DOUBLE", 12),
        (float("nan"), "DOUBLE", None),
    ],
)
def test_whole_numbers(value, delivered, expected):
    assert cast(value, "integer", delivered=delivered) == expected


@pytest.mark.parametrize(
    ("value", "delivered", "expected"),
    [
        ("007", "VARCHAR", "007"),
        (7, "BIGINT", "7"),
        (7.0, "DOUBLE", "7"),
        (float("nan"), "DOUBLE", None),
        ("  ", "VARCHAR", None),
        (" x\u00a0", "VARCHAR", "x"),
    ],
)
def test_keys_are_text(value, delivered, expected):
    assert cast(value, "text", delivered=delivered) == expected


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["1,5", "1.234"], (True, False, True)),
        (["1.5", "1,234"], (False, True, True)),
        (["1.234,5"], (True, False, True)),
        (["0,125"], (True, False, True)),
        (["1,234", "1.234"], (False, False, True)),
        (["7"], (False, False, False)),
    ],
)
def test_decimal_mark_is_recognised_by_what_only_a_decimal_mark_can_be(values, expected):
    rows = ", ".join(f"('{value}')" for value in values)
    assert CONNECTION.execute(f"select {casting.decimal_marks(['v'])} from (values {rows}) as t(v)").fetchall() == [
        expected
    ]
