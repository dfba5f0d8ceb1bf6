"""What people write into a cell, as a date, an amount or a time. Pure: the same cell is the same value."""

from __future__ import annotations

import re
from datetime import date, datetime, time, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any

_SERIAL_ZERO = date(1899, 12, 30)
_SERIALS = range(20_000, 80_000)
"""Days of a spreadsheet that are dates of the years 1954 to 2119; smaller and larger figures are something else."""
_DAY_FIRST = re.compile(r"(\d{1,2})[/.-](\d{1,2})[/.-](\d{4})")
_TIME = re.compile(r"(\d{1,2})\s*[:h]\s*(\d{2})(?::\d{2})?\s*(a\.?\s?m\.?|p\.?\s?m\.?)?", re.IGNORECASE)
_CENT = Decimal("0.01")
_LARGEST = Decimal(10) ** 12


def read_date(value: Any) -> date | None:
    """A date, or None when the cell holds none: a date cell, a spreadsheet's number of days, or text (ISO, day first).

    >>> read_date("03/07/2026"), read_date("2026-07-03"), read_date(46206)
    (datetime.date(2026, 7, 3), datetime.date(2026, 7, 3), datetime.date(2026, 7, 3))
    """
    if isinstance(value, datetime):
        return value.date()
    if isinstance(value, date):
        return value
    if isinstance(value, int | float) and not isinstance(value, bool):
        return _SERIAL_ZERO + timedelta(days=int(value)) if int(value) in _SERIALS else None
    text = str(value).strip()
    found = _DAY_FIRST.fullmatch(text)
    try:
        if found:
            return date(int(found[3]), int(found[2]), int(found[1]))
        return date.fromisoformat(text[:10]) if re.fullmatch(r"\d{4}-\d{2}-\d{2}([T ].*)?", text) else None
    except ValueError:
        return None


def read_amount(value: Any, decimal: str) -> Decimal | None:
    """An amount with at most two decimals, or None when the cell holds none.

    In text a single sign is the decimal one, unless three digits follow it and it is not ``decimal``; of two different
    signs the last is.

    >>> read_amount("1.234,50", ","), read_amount("1,234.50", ","), read_amount("1.234", ","), read_amount(80, ",")
    (Decimal('1234.50'), Decimal('1234.50'), Decimal('1234.00'), Decimal('80.00'))
    """
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float | Decimal):
        written = repr(value) if isinstance(value, float) else str(value)
    else:
        written = _plain_figure(re.sub(r"^[A-Z]{3}\s|[$\s\u00a0]", "", str(value)), decimal)
    try:
        amount = Decimal(written)
        if not amount.is_finite() or abs(amount) >= _LARGEST:
            return None
        rounded = amount.quantize(_CENT)
    except InvalidOperation:
        return None
    # A sum that a spreadsheet computed may be off in the ninth decimal; a third decimal that was meant is no amount.
    return rounded if abs(amount - rounded) < Decimal("0.000001") else None


def _plain_figure(text: str, decimal: str) -> str:
    """The figure with a point as its decimal sign and nothing between thousands; text that is no figure as it is."""
    signs = [sign for sign in ".," if sign in text]
    if not signs or not re.fullmatch(r"[+-]?[\d.,]+", text):
        return text
    if len(signs) == 2:
        last = max(signs, key=text.rfind)
        other = next(sign for sign in signs if sign != last)
    else:
        (sign,) = signs
        is_grouped = re.fullmatch(r"[+-]?\d{1,3}(?:[.,]\d{3})+", text) is not None and sign != decimal
        last, other = ("", sign) if is_grouped else (sign, "")
    if other:
        text = text.replace(other, "")
    return text.replace(last, ".") if last else text


def read_time(value: Any) -> time | None:
    """A time of day, or None when the cell holds none; midnight is none, it stands for a time that is not known.

    >>> read_time("10:30"), read_time("3:05 p. m."), read_time(0.4375)
    (datetime.time(10, 30), datetime.time(15, 5), datetime.time(10, 30))
    """
    if isinstance(value, datetime):
        value = value.time()
    if isinstance(value, time):
        found = value.replace(second=0, microsecond=0, tzinfo=None)
        return found if found != time() else None
    if isinstance(value, timedelta):
        value = value.total_seconds() / 86_400
    if isinstance(value, int | float) and not isinstance(value, bool):
        minutes = round((value % 1) * 1440)
        return time(minutes // 60, minutes % 60) if 0 <= value < 1 and 0 < minutes < 1440 else None
    match = _TIME.fullmatch(str(value).strip())
    if match is None:
        return None
    hour, minute, half = int(match[1]), int(match[2]), (match[3] or "")[:1].lower()
    if half and not 1 <= hour <= 12:
        return None
    hour = hour % 12 + (12 if half == "p" else 0) if half else hour
    return time(hour, minute) if hour < 24 and minute < 60 and (hour or minute) else None
