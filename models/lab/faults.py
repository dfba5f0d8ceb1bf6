"""Rows that should not have been sent, and those that should have been and were not, or say what did not happen.

Faulty rows are added beside the good ones under keys of their own (or as exact duplicates), never in their place, so
that a door that turns them away is left with exactly the history that was simulated. What people forget to write down
passes every door: calls and visits that are not there, and answers noted as none.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

_MANY = 10**6


#: Tables with faulty rows, and how many kinds of them; in the order of the draws.
_KINDS = {"payments": 4, "installments": 4, "interactions": 3, "promises": 2, "contact_points": 2}


_BY_PEOPLE = ("call", "visit")
_ANSWERS = ("right_party", "refusal", "dispute", "callback")
_LEFT_OPEN = "no_answer"


def as_people_note(part: pa.Table, *, lost_share: float, unnoted_share: float, seed: int, start: int) -> pa.Table:
    """A part of ``interactions`` as people wrote it down; ``start`` is the position of its first row.

    Of the calls and visits a share is lost, but none with a promise, which has a row of its own; of those that reached
    the member a share is noted as not answered. Messages are told by machines and stay.
    """
    if not lost_share and not unnoted_share:
        return part
    rng = np.random.default_rng([seed, 6, start])
    lost, unnoted = rng.random(len(part)) < lost_share, rng.random(len(part)) < unnoted_share
    by_people = pc.and_(pc.is_in(part["channel"], pa.array(_BY_PEOPLE)), pc.equal(part["direction"], "outbound"))
    answered = pc.and_(by_people, pc.is_in(part["outcome"], pa.array(_ANSWERS)))
    outcome = pc.if_else(pc.and_(answered, pa.array(unnoted)), _LEFT_OPEN, part["outcome"])
    part = part.set_column(
        part.schema.get_field_index("outcome"), "outcome", outcome.cast(part.schema.field("outcome").type)
    )
    gone = pc.and_(pc.and_(by_people, pa.array(lost)), pc.not_equal(part["outcome"], "promise"))
    return part.filter(pc.invert(gone))


class Faults:
    """Which good rows the faulty ones are made from, drawn from the sizes of the tables alone.

    So a table can pass by in parts: :meth:`see` keeps what is needed of each, :meth:`rows` are the faulty rows that
    follow the last. Faults: exact duplicates, rows of a loan or customer that does not exist, negative amounts, a
    payment from the future, an instalment due before the disbursement, a code nobody knows. At least one of each when
    ``share`` is above 0, none otherwise.
    """

    def __init__(self, counts: Mapping[str, int], *, share: float, seed: int, last_day: int) -> None:
        rng = np.random.default_rng([seed, 4])
        self._future = datetime(1970, 1, 1, 17, tzinfo=UTC) + timedelta(days=last_day + 400)
        self._picked: dict[str, list[np.ndarray]] = {}
        self._seen: dict[str, list[pa.Table]] = {}
        for name, parts in _KINDS.items() if share > 0 else ():
            each = max(1, round(counts[name] * share / parts))
            self._picked[name] = [rng.integers(0, counts[name], each) for _ in range(parts)]
            self._seen[name] = []

    def see(self, name: str, part: pa.Table, start: int) -> None:
        """A part of a table passes by; ``start`` is the position of its first row."""
        if name in self._picked:
            wanted = np.unique(np.concatenate(self._picked[name]))
            here = wanted[(wanted >= start) & (wanted < start + len(part))] - start
            self._seen[name].append(part.take(pa.array(here)))

    def rows(self, name: str) -> list[pa.Table]:
        """The faulty rows of a table that has passed by, one table for each kind of fault."""
        if name not in self._picked:
            return []
        seen = pa.concat_tables(self._seen.pop(name)).combine_chunks()
        wanted = np.unique(np.concatenate(self._picked[name]))
        return getattr(self, f"_{name}")(
            *[seen.take(pa.array(np.searchsorted(wanted, picked))) for picked in self._picked[name]]
        )

    def _payments(self, twin: pa.Table, orphan: pa.Table, negative: pa.Table, late: pa.Table) -> list[pa.Table]:
        return [
            twin,
            _new(orphan, "payment_id", "TX1", loan_id="L99999999", reverses_payment_id=None),
            _flipped(_new(negative, "payment_id", "TX2", reverses_payment_id=None), "amount"),
            _new(late, "payment_id", "TX3", paid_at=self._future, reverses_payment_id=None),
        ]

    def _installments(self, twin: pa.Table, orphan: pa.Table, negative: pa.Table, early: pa.Table) -> list[pa.Table]:
        return [
            twin,
            _replace(orphan, "loan_id", "L99999999").set_column(
                1, "installment_no", pa.array(np.arange(len(orphan)) + 1, pa.int64())
            ),
            _flipped(_numbered(negative, 900), "principal_due"),
            _replace(_numbered(early, 950), "due_on", datetime(1999, 12, 31, tzinfo=UTC).date()),
        ]

    def _interactions(self, twin: pa.Table, orphan: pa.Table, unknown: pa.Table) -> list[pa.Table]:
        return [
            twin,
            _new(orphan, "interaction_id", "IX1", customer_id="C99999999", loan_id=None),
            _new(unknown, "interaction_id", "IX2", outcome="contesto"),
        ]

    def _promises(self, twin: pa.Table, zero: pa.Table) -> list[pa.Table]:
        return [twin, _new(zero, "promise_id", "PX", amount=Decimal("0.00"))]

    def _contact_points(self, twin: pa.Table, orphan: pa.Table) -> list[pa.Table]:
        return [twin, _new(orphan, "contact_point_id", "KX", customer_id="C99999999")]


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
