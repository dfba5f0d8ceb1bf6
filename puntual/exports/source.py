"""Rows of an offer, out of the files of one snapshot, in batches: memory does not grow with the number of rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

import duckdb
import pyarrow as pa

from puntual.errors import ExportError, PublishError, UsageError
from puntual.exports.offers import Offer
from puntual.exports.predicate import checked_predicate, unknown_columns
from puntual.snapshot import Snapshot

BATCH_ROWS = 20_000
MEMORY = "512MB"
"""What a sort may hold; the rest goes to a scratch folder beside the file that is written."""

Kind = Literal["text", "integer", "decimal", "double", "boolean", "date", "timestamp"]


@dataclass(frozen=True)
class Column:
    """A column of an export: its name, what it holds, the decimals of an amount, whether a moment carries its zone."""

    name: str
    kind: Kind
    scale: int = 0
    is_zoned: bool = False

    @property
    def value(self) -> str:
        """Its value in SQL, in one of the types that the writers know; moments are UTC."""
        name = quoted(self.name)
        if self.kind == "timestamp":
            return f"cast(timezone('UTC', {name}) as timestamp)" if self.is_zoned else f"cast({name} as timestamp)"
        return name if self.kind != "text" else f"cast({name} as varchar)"


class Source:
    """An open offer. Its connection sees the tables of the offer and no other file, and no setting can be changed."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, snapshot: Snapshot, offered: Offer) -> None:
        self._connection = connection
        self._snapshot = snapshot
        self._offer = offered
        described = connection.execute("describe select * from exported").fetchall()
        self.columns = {str(name): _column(str(name), str(kind)) for name, kind, *_ in described}

    def chosen(self, names: Sequence[str]) -> list[Column]:
        """The columns of ``names`` in that order, whatever their capitals; all that the offer shows when empty.

        Raises:
            UsageError: a name is no column, or stands there twice.
        """
        if not names:
            return [column for column in self.columns.values() if self._offer.shows(column.name)]
        unknown_columns(names, list(self.columns), option="--columns")
        by_name = {name.lower(): column for name, column in self.columns.items()}
        if len({name.lower() for name in names}) < len(names):
            raise UsageError(f"--columns names a column twice: {', '.join(names)}")
        return [by_name[name.lower()] for name in names]

    def condition(self, where: str | None) -> str:
        """``where``, checked against the columns; ``true`` without one.

        Raises:
            UsageError: it is not one condition on the columns of this export.
        """
        if where is None or not where.strip():
            return "true"
        condition = checked_predicate(where, list(self.columns))
        try:
            self._connection.execute(f"explain select 1 from exported where {condition}")
        except duckdb.Error as error:
            raise UsageError(f"--where {where}: {_sentence(error)}") from error
        return condition

    def batches(self, expressions: Sequence[str], condition: str) -> Iterator[pa.RecordBatch]:
        """The rows of ``condition`` in the offer's order, ``expressions`` of the columns as they are to be written.

        The first batch is empty: it carries the types.

        Raises:
            UsageError: the condition fails on a value, such as a text compared with a number.
            ExportError: a published file cannot be read, or there is no room to sort.
        """
        order = ", ".join(f"{quoted(name)} nulls last" for name in self._offer.order)
        sql = f"select {', '.join(expressions)} from exported where {condition}" + (
            f" order by {order}" if order else ""
        )
        try:
            reader = self._connection.sql(sql).to_arrow_reader(BATCH_ROWS)
            yield pa.RecordBatch.from_pylist([], schema=reader.schema)  # an empty export has columns too
            yield from reader
        except (duckdb.ConversionException, duckdb.InvalidInputException, duckdb.BinderException) as error:
            raise UsageError(f"The condition cannot be applied: {_sentence(error)}") from error
        except (duckdb.Error, pa.ArrowException) as error:
            raise ExportError(
                f"{self._offer.what} of {self._snapshot.folder} cannot be read: {_sentence(error)}. "
                "Check the free space; if the file is damaged, publish the day again."
            ) from error


@contextmanager
def opened(snapshot: Snapshot, offered: Offer, *, scratch: Path) -> Iterator[Source]:
    """The offer on a snapshot, while the context lasts.

    Args:
        snapshot: whose tables.
        offered: what.
        scratch: folder in which a sort may spill; nothing of it stays.

    Raises:
        ExportError: the snapshot lacks a table of the offer or its columns.
    """
    files = {table: _file(snapshot, offered, table) for table in offered.tables}
    with ExitStack() as stack:
        spill = stack.enter_context(TemporaryDirectory(prefix=".export-", dir=scratch))
        config = {"memory_limit": MEMORY, "temp_directory": spill, "autoinstall_known_extensions": "false"}
        connection = stack.enter_context(duckdb.connect(":memory:", config={"threads": "2", **config}))
        connection.execute(f"set allowed_paths = [{', '.join(_literal(str(file)) for file in files.values())}]")
        sql = offered.sql or f"select * from {offered.tables[0]}"
        sql = sql.replace("{as_of}", snapshot.as_of_date.isoformat())
        try:
            for table, file in files.items():
                rows = f"select * from read_parquet({_literal(str(file))})"
                connection.execute(f"create view {quoted(table)} as {rows}")
            connection.execute("set enable_external_access = false")
            connection.execute("set lock_configuration = true")
            connection.execute(f"create view exported as {sql}")
            source = Source(connection, snapshot, offered)
        except duckdb.Error as error:
            raise _unfit(snapshot, offered, _sentence(error)) from error
        absent = [name for name in offered.order if name not in source.columns]
        if absent:
            raise _unfit(snapshot, offered, f"no column {', '.join(absent)}")
        yield source


def _unfit(snapshot: Snapshot, offered: Offer, reason: str) -> ExportError:
    return ExportError(
        f"{offered.what} cannot be made of what was published in {snapshot.folder}: {reason}. "
        f"It was published by another version or is damaged; run the day again: {_again(snapshot)}"
    )


def _file(snapshot: Snapshot, offered: Offer, table: str) -> Path:
    try:
        return snapshot.table_path(table)
    except PublishError as error:
        raise ExportError(
            f"The snapshot {snapshot.folder.name} holds no table {table}, of which {offered.what} is made: it was "
            f"published before {offered.what} was offered. Run the day again: {_again(snapshot)}"
        ) from error


def _again(snapshot: Snapshot) -> str:
    return f"puntual run {snapshot.folder.parent.parent} --as-of {snapshot.as_of_date}"


def _column(name: str, kind: str) -> Column:
    """What a DuckDB type holds; whatever is neither number, date nor truth is text."""
    base = kind.split("(")[0]
    if base in {"TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT", "HUGEINT"}:
        return Column(name, "integer")
    if base == "DECIMAL":
        scale = int(kind.rstrip(")").split(",")[1])
        return Column(name, "decimal", scale) if scale else Column(name, "integer")
    if base in {"DOUBLE", "FLOAT"}:
        return Column(name, "double")
    if base == "BOOLEAN":
        return Column(name, "boolean")
    if base == "DATE":
        return Column(name, "date")
    if base.startswith("TIMESTAMP"):
        return Column(name, "timestamp", is_zoned="TIME ZONE" in kind)
    return Column(name, "text")


def _sentence(error: Exception) -> str:
    return str(error).strip().splitlines()[0].rstrip(".") if str(error).strip() else type(error).__name__


def quoted(name: str) -> str:
    """A name in SQL, whatever its characters."""
    return '"' + name.replace('"', '""') + '"'


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
