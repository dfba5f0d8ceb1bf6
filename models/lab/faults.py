"""Rows that should not have been sent: a small share, so that the door and its quarantine have something to do.

Bad rows are added beside the good ones under keys of their own (or as exact duplicates), never in their place, so
that a door that turns them away is left with exactly the history that was simulated.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

_MANY = 10**6


def with_faults(tables: dict[str, pa.Table], *, share: float, seed: int, last_day: int) -> dict[str, pa.Table]:
    """The tables with ``share`` of faulty rows added to the larger ones.

    Faults: exact duplicates, rows of a loan or customer that does not exist, negative amounts, a payment from the
    future, an instalment due before the disbursement, a code nobody knows. At least one of each when ``share`` is
    above 0.
    """
    if share <= 0:
        return dict(tables)
    rng = np.random.default_rng([seed, 4])
    out = dict(tables)
    future = datetime(1970, 1, 1, 17, tzinfo=UTC) + timedelta(days=last_day + 400)

    def picked(name: str, parts: int) -> list[pa.Table]:
        table = tables[name]
        each = max(1, round(len(table) * share / parts))
        return [table.take(pa.array(rng.integers(0, len(table), each))) for _ in range(parts)]

    twin, orphan, negative, late = picked("payments", 4)
    out["payments"] = pa.concat_tables(
        [
            tables["payments"],
            twin,
            _new(orphan, "payment_id", "TX1", loan_id="L99999999", reverses_payment_id=None),
            _flipped(_new(negative, "payment_id", "TX2", reverses_payment_id=None), "amount"),
            _new(late, "payment_id", "TX3", paid_at=future, reverses_payment_id=None),
        ]
    )
    twin, orphan, negative, early = picked("installments", 4)
    early = _numbered(early, 950)
    out["installments"] = pa.concat_tables(
        [
            tables["installments"],
            twin,
            _replace(orphan, "loan_id", "L99999999").set_column(
                1, "installment_no", pa.array(np.arange(len(orphan)) + 1, pa.int64())
            ),
            _flipped(_numbered(negative, 900), "principal_due"),
            _replace(early, "due_on", datetime(1999, 12, 31, tzinfo=UTC).date()),
        ]
    )
    twin, orphan, unknown = picked("interactions", 3)
    out["interactions"] = pa.concat_tables(
        [
            tables["interactions"],
            twin,
            _new(orphan, "interaction_id", "IX1", customer_id="C99999999", loan_id=None),
            _new(unknown, "interaction_id", "IX2", outcome="contesto"),
        ]
    )
    twin, zero = picked("promises", 2)
    out["promises"] = pa.concat_tables(
        [tables["promises"], twin, _new(zero, "promise_id", "PX", amount=Decimal("0.00"))]
    )
    twin, orphan = picked("contact_points", 2)
    out["contact_points"] = pa.concat_tables(
        [tables["contact_points"], twin, _new(orphan, "contact_point_id", "KX", customer_id="C99999999")]
    )
    return out


def _replace(table: pa.Table, column: str, value: object) -> pa.Table:
    at = table.schema.get_field_index(column)
    kind = table.schema.field(column).type
    return table.set_column(at, column, pa.array([value] * len(table), kind))


def _new(table: pa.Table, key: str, prefix: str, **values: object) -> pa.Table:
    """The rows under new keys, with some columns set to one value."""
    at = table.schema.get_field_index(key)
    table = table.set_column(at, key, pa.array([f"{prefix}{_MANY + i}" for i in range(len(table))], pa.string()))
    for column, value in values.items():
        table = _replace(table, column, value)
    return table


def _flipped(table: pa.Table, column: str) -> pa.Table:
    """The rows with an amount below zero (at least one unit of currency)."""
    at = table.schema.get_field_index(column)
    kind = table.schema.field(column).type
    values = pc.cast(pc.negate(pc.add(table[column], pa.scalar(Decimal("1.00"), kind))), kind)
    return table.set_column(at, column, values)


def _numbered(table: pa.Table, start: int) -> pa.Table:
    """Instalments with numbers no schedule has, each row its own."""
    return table.set_column(1, "installment_no", pa.array(start * 1000 + np.arange(len(table)), pa.int64()))
