"""Arrays as columns of the contract's types: exact decimals, dates, UTC times, text keys."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

MONEY = pa.decimal128(14, 2)
#: What one contact costs, to a hundredth of a cent: a message costs less than a cent.
UNIT_COST = pa.decimal128(14, 4)
UTC = pa.timestamp("us", tz="UTC")
#: Ecuador's mainland is five hours behind UTC all year.
UTC_OFFSET_SECONDS = 5 * 3600


def money(cents: np.ndarray, kind: pa.Decimal128Type = MONEY) -> pa.Array:
    """Whole numbers of the smallest unit (cents for ``MONEY``) as exact decimals."""
    words = np.empty((len(cents), 2), np.int64)
    words[:, 0] = cents
    words[:, 1] = words[:, 0] >> 63
    return pa.Array.from_buffers(kind, len(cents), [None, pa.py_buffer(words)])


def keys(prefix: str, number: np.ndarray, width: int = 8) -> pa.Array:
    """Text keys such as ``C00000042``; a negative number is NULL."""
    text = pc.utf8_lpad(pc.cast(pa.array(np.maximum(number, 0)), pa.string()), width, "0")
    joined = pc.binary_join_element_wise(pa.scalar(prefix), text, pa.scalar(""))
    return pc.if_else(pa.array(number >= 0), joined, pa.scalar(None, pa.string()))


def chosen(names: Sequence[str], code: np.ndarray) -> pa.Array:
    """Text from a list by position; a negative position is NULL."""
    position = pa.array(np.where(code < 0, 0, code).astype(np.int64), mask=np.asarray(code) < 0)
    return pc.take(pa.array(list(names), pa.string()), position)


def days(number: np.ndarray) -> pa.Array:
    """Day numbers as dates; a negative number is NULL."""
    return pa.array(np.maximum(number, 0).astype(np.int32), pa.int32(), mask=np.asarray(number) < 0).cast(pa.date32())


def moments(day: np.ndarray, second_of_day: np.ndarray) -> pa.Array:
    """Local day and second as UTC timestamps; a negative day is NULL."""
    micro = (day.astype(np.int64) * 86_400 + second_of_day + UTC_OFFSET_SECONDS) * 1_000_000
    return pa.array(np.maximum(micro, 0), pa.int64(), mask=np.asarray(day) < 0).cast(pa.timestamp("us")).cast(UTC)


def decimals_or_null(values: np.ndarray) -> pa.Array:
    """Floating values, NULL where not a number."""
    return pa.array(values, pa.float64(), mask=np.isnan(values))


def nothing(count: int, kind: pa.DataType | None = None) -> pa.Array:
    """A column that is NULL throughout."""
    return pa.nulls(count, kind or pa.string())
