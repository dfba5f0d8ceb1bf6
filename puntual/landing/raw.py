"""Raw as the door sees it: what it holds already, and the way new versions get in, on DuckDB and on PostgreSQL.

All checks and comparisons run in DuckDB. With a DuckDB warehouse that is the warehouse's own connection; with
PostgreSQL it is a scratch database, into which the keys and digests that PostgreSQL holds are copied, and from which
only new versions go back.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import duckdb

from puntual.contracts.render import raw_columns
from puntual.contracts.schema import TableContract
from puntual.errors import WarehouseError
from puntual.landing.casting import literal, quoted
from puntual.warehouse import Warehouse
from puntual.warehouse.connect import copied_out, copy_in, without_progress_bar

LOADS: dict[str, str] = {
    "load_id": "bigint",
    "run_id": "text",
    "as_of_date": "date",
    "table_name": "text",
    "file_name": "text",
    "file_sha256": "text",
    "row_count": "bigint",
    "accepted_count": "bigint",
    "new_count": "bigint",
    "rejected_count": "bigint",
    "duplicate_count": "bigint",
    "loaded_at": "timestamp",
    # Beside the counts: of the rejected rows, those that only gave way to a newer version of their key; whether the
    # file was read or stood as it was; digests of everything that decides about rows, to know when nothing can change.
    "superseded_count": "bigint",
    "is_read": "boolean",
    "rules_digest": "text",
    "inputs_digest": "text",
}

REJECTED: dict[str, str] = {
    "load_id": "bigint",
    "table_name": "text",
    "source_file": "text",
    "source_row": "bigint",
    "row_key": "text",
    "reasons": "text",
    "row_json": "text",
    "loaded_at": "timestamp",
}


_BATCH_ROWS = 100_000


class RawStore(Protocol):
    """Raw, with a DuckDB connection ``work`` in which everything is computed."""

    work: duckdb.DuckDBPyConnection

    def ensure(self, contract: dict[str, TableContract]) -> None:
        """Make every raw table exist with every column of the contract."""

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        """Rows of a small query on raw."""

    def versions(self, table: TableContract, columns: Sequence[str]) -> str:
        """Name of a relation in ``work`` with all versions of a raw table, ``columns`` and the lineage columns."""

    def append(self, table: str, columns: Sequence[str], select: str) -> int:
        """Append the rows of a query in ``work`` to ``raw.<table>``; the number of rows."""


def _definitions(contract: dict[str, TableContract]) -> dict[str, dict[str, str]]:
    return {name: raw_columns(table) for name, table in contract.items()} | {"loads": LOADS, "rejected_rows": REJECTED}


def _create(name: str, columns: dict[str, str]) -> str:
    body = ", ".join(f"{quoted(column)} {kind}" for column, kind in columns.items())
    return f"create table if not exists raw.{name} ({body})"


_EXISTING = "select table_name, column_name from information_schema.columns where table_schema = 'raw'"


def _statements(contract: dict[str, TableContract], existing: list[tuple[str, str]]) -> list[str]:
    """What is missing in raw: the schema, tables, and columns that an older contract did not have."""
    present: dict[str, set[str]] = {}
    for table, column in existing:
        present.setdefault(table, set()).add(column)
    statements = [] if present else ["create schema if not exists raw"]
    for name, columns in _definitions(contract).items():
        if name not in present:
            statements.append(_create(name, columns))
            continue
        statements += [
            f"alter table raw.{name} add column {quoted(column)} {kind}"
            for column, kind in columns.items()
            if column not in present[name]
        ]
    return statements


@dataclass
class DuckdbRaw:
    """Raw in the DuckDB file that ``work`` has open."""

    work: duckdb.DuckDBPyConnection

    def ensure(self, contract: dict[str, TableContract]) -> None:
        """See :class:`RawStore`."""
        for statement in _statements(contract, self.query(_EXISTING)):
            self.work.execute(statement)

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        """See :class:`RawStore`."""
        return self.work.execute(sql).fetchall()

    def versions(self, table: TableContract, columns: Sequence[str]) -> str:  # noqa: ARG002 - all columns are there
        """See :class:`RawStore`."""
        return f"raw.{table.table}"

    def append(self, table: str, columns: Sequence[str], select: str) -> int:
        """See :class:`RawStore`."""
        names = ", ".join(quoted(name) for name in columns)
        inserted = self.work.execute(f"insert into raw.{table} ({names}) {select}").fetchone()
        return int(inserted[0]) if inserted else 0


@dataclass
class PostgresRaw:
    """Raw in PostgreSQL; ``work`` is a scratch DuckDB, and rows go between the two without touching the disk."""

    work: duckdb.DuckDBPyConnection
    connection: Any

    def ensure(self, contract: dict[str, TableContract]) -> None:
        """See :class:`RawStore`."""
        with self.connection.cursor() as cursor:
            for statement in _statements(contract, self.query(_EXISTING)):
                cursor.execute(statement)
            # Two loads at once would give the same load_id twice.
            cursor.execute("lock table raw.loads in share row exclusive mode")

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        """See :class:`RawStore`."""
        with self.connection.cursor() as cursor:
            cursor.execute(sql)
            return list(cursor.fetchall())

    def versions(self, table: TableContract, columns: Sequence[str]) -> str:
        """See :class:`RawStore`."""
        name = f"versions_{table.table}"
        types = raw_columns(table)
        wanted = list(dict.fromkeys([*columns, "_load_id", "_source_row", "_row_digest", "_is_deleted"]))
        body = ", ".join(f"{quoted(column)} {types[column]}" for column in wanted)
        self.work.execute(f"create or replace temp table {name} ({body})")
        selected = ", ".join(quoted(column) for column in wanted)
        held = f"select {selected} from raw.{table.table}"
        with self.connection.cursor() as cursor, copied_out(cursor, held, exact=True) as rows:
            self.work.register("_held", rows)
            self.work.execute(f"insert into {name} select * from _held")
            self.work.unregister("_held")
        return name

    def append(self, table: str, columns: Sequence[str], select: str) -> int:
        """See :class:`RawStore`."""
        with self.connection.cursor() as cursor:
            appended = copy_in(cursor, f"raw.{table}", columns, self.work.execute(select).to_arrow_reader(_BATCH_ROWS))
            if appended:
                # The first models of the day join these tables before the server would look at them by itself.
                cursor.execute(f"analyze raw.{table}")
        return appended


@dataclass
class NoRaw(DuckdbRaw):
    """Empty raw tables in a scratch DuckDB that keep nothing: for a check without a warehouse."""

    def append(self, table: str, columns: Sequence[str], select: str) -> int:  # noqa: ARG002 - keeps nothing
        """See :class:`RawStore`."""
        counted = self.work.execute(f"select count(*) from ({select})").fetchone()
        return int(counted[0]) if counted else 0


def scratch_database(scratch: Path, *, threads: int, memory_limit_gb: float) -> duckdb.DuckDBPyConnection:
    """An in-memory DuckDB that spills into ``scratch``."""
    work = duckdb.connect(":memory:", config={"threads": threads})
    work.execute(f"set temp_directory = {literal(str(scratch / 'spill'))}")
    work.execute(f"set memory_limit = '{memory_limit_gb}GB'")
    work.execute("set timezone = 'UTC'")
    without_progress_bar(work)
    return work


@contextmanager
def open_raw(warehouse: Warehouse, scratch: Path, *, memory_limit_gb: float) -> Iterator[RawStore]:
    """Raw of ``warehouse`` in one transaction: committed at the end of the block, rolled back on an error.

    Raises:
        WarehouseError: the warehouse cannot be opened or refuses a statement.
    """
    limit = min(memory_limit_gb, warehouse.memory_limit_gb)
    try:
        with warehouse.connection() as connection:
            if warehouse.kind == "duckdb":
                connection.execute(f"set memory_limit = '{limit}GB'")
                yield DuckdbRaw(connection)
                connection.execute(f"set memory_limit = '{warehouse.memory_limit_gb}GB'")
                return
            work = scratch_database(scratch, threads=warehouse.threads, memory_limit_gb=limit)
            try:
                yield PostgresRaw(work, connection)
            finally:
                work.close()
    except duckdb.IOException as error:
        raise WarehouseError(f"The warehouse {warehouse.safe_url} could not be written: {error}") from error
