"""The operational store: which filled lists came back, when, from whom, and every version of what they say.

One SQLite file in the home. It is the source of the landing files of the lists: they are written from it, and can be
written again. A change is one transaction, so a crash leaves an import whole or not at all.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any

from puntual.errors import PuntualError
from puntual.lists.files import keep_private
from puntual.worklists.check import Outcome

VERSION = 1
_WAIT_SECONDS = 30.0
_TABLES = """
create table imports (
    import_id integer primary key,
    file_name text not null,
    file_sha256 text not null,
    imported_at text not null,
    imported_by text not null,
    as_of_date text not null,
    list_ids text not null,
    filled_count integer not null,
    new_count integer not null,
    changed_count integer not null,
    same_count integer not null,
    rejected_count integer not null,
    status text not null check (status in ('recorded', 'delivered'))
) strict;
create table outcomes (
    row_id text not null,
    version integer not null,
    import_id integer not null references imports (import_id),
    content_digest text not null,
    as_of_date text not null,
    list_id text not null,
    collector_id text,
    customer_id text not null,
    loan_id text,
    channel_code text not null,
    outcome_code text not null,
    contacted_at text,
    due_date text,
    promised_amount text,
    notes text,
    propensity real,
    is_exploration integer not null,
    primary key (row_id, version)
) strict;
create index outcomes_by_day on outcomes (as_of_date);
"""


@dataclass(frozen=True)
class Import:
    """One file that was imported; ``status`` is ``recorded`` until its rows are in the landing folder."""

    import_id: int
    file_name: str
    file_sha256: str
    imported_at: datetime
    imported_by: str
    as_of_date: date
    list_ids: tuple[str, ...]
    filled_count: int
    new_count: int
    changed_count: int
    same_count: int
    rejected_count: int
    status: str


@dataclass(frozen=True)
class Counts:
    """How many outcomes were new, corrected an earlier one, or were known before."""

    new: int
    changed: int
    same: int


class OperationsStore:
    """The store in ``file``, which the first import makes."""

    def __init__(self, file: Path) -> None:
        self.file = file

    @property
    def exists(self) -> bool:
        """Whether anything was ever recorded."""
        return self.file.exists()

    def imports(self) -> list[Import]:
        """Every import, oldest first."""
        with self._reading() as database:
            return [] if database is None else [_import(row) for row in database.execute(_SELECT + " order by 1")]

    def import_of(self, sha256: str) -> Import | None:
        """The newest import of a file with these bytes; None when there is none."""
        with self._reading() as database:
            if database is None:
                return None
            found = database.execute(f"{_SELECT} where file_sha256 = ? order by 1 desc limit 1", [sha256]).fetchone()
        return _import(found) if found else None

    def counts(self, outcomes: Iterable[Outcome]) -> Counts:
        """What recording these outcomes would do; nothing is changed."""
        with self._reading() as database:
            return _counted(_newest(database, outcomes) if database is not None else {}, outcomes)

    def newest_codes(self, day: date) -> dict[str, str]:
        """Newest outcome by row id of the lists of ``day``."""
        return {row["row_id"]: row["outcome_code"] for row in self.newest(day, day)}

    def newest(self, first: date, last: date) -> list[dict[str, Any]]:
        """Newest version of every row of the lists of these days, by row id; ``was_worked``: some version says so."""
        with self._reading() as database:
            if database is None:
                return []
            found = database.execute(
                "select * from (select *, max(outcome_code <> 'not_worked') over (partition by row_id) as was_worked,"
                " row_number() over (partition by row_id order by version desc) as place from outcomes"
                " where as_of_date between ? and ?) where place = 1 order by row_id",
                [first.isoformat(), last.isoformat()],
            )
            return [dict(row) for row in found]

    def pending(self) -> list[Import]:
        """The imports whose rows are not in the landing folder yet."""
        return [one for one in self.imports() if one.status == "recorded"]

    def record(
        self,
        outcomes: Sequence[Outcome],
        *,
        file_name: str,
        file_sha256: str,
        at: datetime,
        by: str,
        as_of: date,
        list_ids: Sequence[str],
        rejected_count: int,
    ) -> Counts:
        """Record an import: a version for each outcome that its row does not have as its newest. One transaction."""
        with self._writing() as database:
            newest = _newest(database, outcomes)
            counts = _counted(newest, outcomes)
            import_id = database.execute(
                "insert into imports (file_name, file_sha256, imported_at, imported_by, as_of_date, list_ids,"
                " filled_count, new_count, changed_count, same_count, rejected_count, status)"
                " values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'recorded')",
                [
                    file_name,
                    file_sha256,
                    at.isoformat(),
                    by,
                    as_of.isoformat(),
                    "\n".join(list_ids),
                    len(outcomes),
                    counts.new,
                    counts.changed,
                    counts.same,
                    rejected_count,
                ],
            ).lastrowid
            database.executemany(
                f"insert into outcomes values ({', '.join('?' * 17)})",
                [
                    _values(one, newest.get(one.issued.row_id, (0, ""))[0] + 1, import_id)
                    for one in outcomes
                    if newest.get(one.issued.row_id, (0, ""))[1] != one.digest
                ],
            )
        return counts

    def mark_delivered(self, imports: Iterable[Import]) -> None:
        """The rows of these imports are in the landing folder."""
        with self._writing() as database:
            database.executemany(
                "update imports set status = 'delivered' where import_id = ?", [[one.import_id] for one in imports]
            )

    # --- the file -------------------------------------------------------------------------------------------------

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection | None]:
        if not self.exists:
            yield None
            return
        with self._told(), closing(self._open()) as database:
            yield database

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        with self._told():
            keep_private(self.file)  # it holds what was said of people
            with closing(self._open()) as database:
                # at once, so that two imports take turns before either has looked
                database.execute("begin immediate")
                try:
                    yield database
                except BaseException:
                    database.execute("rollback")
                    raise
                database.execute("commit")

    def _open(self) -> sqlite3.Connection:
        database = sqlite3.connect(self.file, timeout=_WAIT_SECONDS, isolation_level=None)
        try:
            database.row_factory = sqlite3.Row
            database.execute("pragma foreign_keys = on")
            found = _version(database)
            if found == 0:
                database.execute("begin immediate")
                if _version(database) == 0:  # nobody else made the tables meanwhile
                    for statement in filter(str.strip, _TABLES.split(";")):
                        database.execute(statement)
                    database.execute(f"pragma user_version = {VERSION}")
                database.execute("commit")
            elif found != VERSION:
                raise PuntualError(
                    f"{self.file} was written by another version of Puntual (its tables have version {found}, this "
                    f"program knows {VERSION}). Install that version, or restore the file from a backup."
                )
        except BaseException:
            database.close()
            raise
        return database

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise PuntualError(
                f"{self.file} cannot be used ({error}). Free space or mend its permissions; if it is damaged, restore "
                "it from a backup. Nothing was imported."
            ) from error


_SELECT = (
    "select import_id, file_name, file_sha256, imported_at, imported_by, as_of_date, list_ids, filled_count, new_count,"
    " changed_count, same_count, rejected_count, status from imports"
)


def _version(database: sqlite3.Connection) -> int:
    return int(database.execute("pragma user_version").fetchone()[0])


def _import(row: sqlite3.Row) -> Import:
    return Import(
        row["import_id"],
        row["file_name"],
        row["file_sha256"],
        datetime.fromisoformat(row["imported_at"]),
        row["imported_by"],
        date.fromisoformat(row["as_of_date"]),
        tuple(filter(None, row["list_ids"].split("\n"))),
        *(
            row[name]
            for name in ("filled_count", "new_count", "changed_count", "same_count", "rejected_count", "status")
        ),
    )


def _newest(database: sqlite3.Connection, outcomes: Iterable[Outcome]) -> dict[str, tuple[int, str]]:
    """Newest version and its digest by row id, of the days of ``outcomes``."""
    found: dict[str, tuple[int, str]] = {}
    for day in sorted({one.issued.as_of_date for one in outcomes}):
        for row in database.execute(
            "select row_id, version, content_digest from outcomes where as_of_date = ? order by version",
            [day.isoformat()],
        ):
            found[row["row_id"]] = (row["version"], row["content_digest"])
    return found


def _counted(newest: dict[str, tuple[int, str]], outcomes: Iterable[Outcome]) -> Counts:
    new = changed = same = 0
    for one in outcomes:
        known = newest.get(one.issued.row_id)
        new += known is None
        same += known is not None and known[1] == one.digest
        changed += known is not None and known[1] != one.digest
    return Counts(new, changed, same)


def _values(one: Outcome, version: int, import_id: int | None) -> list[Any]:
    issued = one.issued
    return [
        issued.row_id,
        version,
        import_id,
        one.digest,
        issued.as_of_date.isoformat(),
        issued.list_id,
        issued.collector_id,
        issued.customer_id,
        issued.loan_id,
        issued.channel_code,
        one.outcome_code,
        one.contacted_at.isoformat() if one.contacted_at else None,
        one.due_date.isoformat() if one.due_date else None,
        str(one.promised_amount) if one.promised_amount is not None else None,
        one.notes,
        issued.propensity,
        int(issued.is_exploration),
    ]
