"""A warehouse that remembers what was read from it, and one that answers from what was remembered."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

import pandas as pd

from puntual.errors import AuditError
from puntual.warehouse import Warehouse


def query_key(sql: str, params: Sequence[Any] | None) -> str:
    """A query and its parameters as one text.

    >>> query_key("select 1 from a.b where day > {}", [date(2026, 6, 30)])
    '["select 1 from a.b where day > {}", ["2026-06-30"]]'
    """
    plain = [value.isoformat() if isinstance(value, date | datetime) else value for value in params or []]
    return json.dumps([sql, plain], ensure_ascii=False)


@dataclass(frozen=True, eq=False)
class RecordingWarehouse(Warehouse):
    """Reads from ``inner`` and keeps every answer by its query; the same query is answered once."""

    inner: Warehouse | None = None
    answers: dict[str, pd.DataFrame] = field(default_factory=dict)

    @classmethod
    def of(cls, inner: Warehouse) -> RecordingWarehouse:
        """One that reads from ``inner``."""
        return cls(inner.kind, inner.url, inner.path, inner.threads, inner.memory_limit_gb, inner)

    @contextmanager
    def connection(self) -> Iterator[Any]:
        """That of the warehouse it reads from."""
        assert self.inner is not None
        with self.inner.connection() as connection:
            yield connection

    def read(self, sql: str, params: Sequence[Any] | None = None) -> pd.DataFrame:
        """Rows of a query, remembered."""
        assert self.inner is not None
        key = query_key(sql, params)
        if key not in self.answers:
            self.answers[key] = self.inner.read(sql, params)
        return self.answers[key].copy()


@dataclass(frozen=True, eq=False)
class RememberedWarehouse(Warehouse):
    """Answers what was recorded, and nothing else."""

    answers: Mapping[str, Callable[[], pd.DataFrame]] = field(default_factory=dict)

    @classmethod
    def of(cls, answers: Mapping[str, Callable[[], pd.DataFrame]]) -> RememberedWarehouse:
        """One that answers from ``answers``, by :func:`query_key`."""
        return cls("duckdb", "duckdb:///remembered", None, answers=answers)

    @contextmanager
    def connection(self) -> Iterator[Any]:
        """Nothing to connect to; the block runs all the same."""
        yield None

    def read(self, sql: str, params: Sequence[Any] | None = None) -> pd.DataFrame:
        """The rows that the query had when it was recorded.

        Raises:
            AuditError: it was not asked then: this release reads something else.
        """
        key = query_key(sql, params)
        if key not in self.answers:
            raise AuditError(
                f"The archive of the day has no answer to: {sql}. This release of Puntual reads what that one did "
                "not; replay with the release that the log names."
            )
        return self.answers[key]()
