"""One interface to the two warehouses: a DuckDB file by default, PostgreSQL in production.

A connection lives as long as one call (or one ``with`` block): DuckDB lets one process write a file, and dbt is next.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, Literal
from urllib.parse import parse_qs, unquote, urlsplit

import numpy as np
import pandas as pd

from puntual.errors import UsageError, WarehouseError

_NAME = re.compile(r"^[a-z_][a-z0-9_]*$")

# Files written by DuckDB 2 with its own newest format cannot be read by the 1.x clients that Power BI and ODBC use.
_DUCKDB_FORMAT = "v1.5.0"


def qualified(table: str) -> str:
    """``schema.name`` after a check that both are plain lower-case identifiers: they are put into SQL text.

    Raises:
        UsageError: the name is not of that form.
    """
    parts = table.split(".")
    if len(parts) != 2 or not all(_NAME.match(part) for part in parts):
        raise UsageError(f"{table!r} is not a table name of the form schema.name")
    return table


def _column(name: str) -> str:
    if not _NAME.match(name):
        raise UsageError(f"{name!r} is not a column name")
    return name


@dataclass(frozen=True)
class Warehouse:
    """The working tables of one institution.

    Attributes:
        kind: ``duckdb`` or ``postgres``.
        url: as given in the settings.
        path: the DuckDB file, None for PostgreSQL.
    """

    kind: Literal["duckdb", "postgres"]
    url: str
    path: Path | None
    threads: int = 2
    memory_limit_gb: float = 8

    @classmethod
    def open(cls, url: str, home: Path, *, threads: int = 2, memory_limit_gb: float = 8) -> Warehouse:
        """The warehouse at ``url``; a DuckDB path is relative to ``home`` and its folder is made."""
        if url.startswith("duckdb:///"):
            path = (home / url.removeprefix("duckdb:///")).resolve()
            path.parent.mkdir(parents=True, exist_ok=True)
            return cls("duckdb", url, path, threads, memory_limit_gb)
        if url.startswith("postgresql://"):
            return cls("postgres", url, None, threads, memory_limit_gb)
        raise UsageError(f"warehouse.url: {url!r} must start with duckdb:/// or postgresql://")

    @contextmanager
    def connection(self) -> Iterator[Any]:
        """The raw connection (DuckDB or psycopg2) in one transaction: committed at the end, rolled back on an error.

        Calls inside the block, also of other methods, share the connection and the transaction.

        Raises:
            WarehouseError: the file is held by another process, or the server does not answer.
        """
        open_ones = _OPEN.get()
        if self in open_ones:
            yield open_ones[self]
            return
        connection = self._connect()
        token = _OPEN.set({**open_ones, self: connection})
        try:
            if self.kind == "duckdb":
                connection.execute("begin transaction")
            yield connection
            connection.commit()
        except BaseException:
            connection.rollback()
            raise
        finally:
            _OPEN.reset(token)
            connection.close()

    def _connect(self) -> Any:
        if self.kind == "duckdb":
            import duckdb

            assert self.path is not None
            try:
                connection = duckdb.connect(
                    str(self.path), config={"storage_compatibility_version": _DUCKDB_FORMAT, "threads": self.threads}
                )
            except duckdb.IOException as error:
                raise WarehouseError(
                    f"{self.path} cannot be opened: {error}. If another run or a database tool holds it, close it."
                ) from error
            connection.execute(f"set memory_limit = '{self.memory_limit_gb}GB'")
            connection.execute("set timezone = 'UTC'")
            connection.execute("set enable_progress_bar = false")
            return connection
        import psycopg2

        try:
            connection = psycopg2.connect(self.url)
        except psycopg2.OperationalError as error:
            raise WarehouseError(f"PostgreSQL at {self.safe_url} does not answer: {error}") from error
        with connection.cursor() as cursor:
            cursor.execute("set timezone = 'UTC'")
        return connection

    @property
    def safe_url(self) -> str:
        """The address without its password, for messages."""
        return re.sub(r"//([^:/@]+):[^@]*@", r"//\1:***@", self.url)

    def dbt_environment(self) -> dict[str, str]:
        """The variables from which ``dbt_project/profiles.yml`` learns where the warehouse is."""
        if self.kind == "duckdb":
            return {
                "PUNTUAL_DBT_TARGET": "duckdb",
                "PUNTUAL_DUCKDB_PATH": str(self.path),
                "PUNTUAL_DUCKDB_MEMORY": f"{self.memory_limit_gb}GB",
                "PUNTUAL_THREADS": str(self.threads),
            }
        parts = urlsplit(self.url)
        query = parse_qs(parts.query)
        host = query.get("host", [parts.hostname or "localhost"])[0]
        return {
            "PUNTUAL_DBT_TARGET": "postgres",
            "PUNTUAL_PG_HOST": unquote(host),
            "PUNTUAL_PG_PORT": str(parts.port or query.get("port", ["5432"])[0]),
            "PUNTUAL_PG_USER": unquote(parts.username or "postgres"),
            "PUNTUAL_PG_PASSWORD": unquote(parts.password or ""),
            "PUNTUAL_PG_DBNAME": parts.path.lstrip("/") or "postgres",
            "PUNTUAL_THREADS": str(self.threads),
        }

    # ---------------------------------------------------------------- statements

    def execute(self, sql: str) -> None:
        """Run one statement and keep nothing of its result."""
        with self.connection() as connection:
            self._run(connection, sql)

    def execute_many(self, statements: Sequence[str]) -> None:
        """Run statements in one transaction: all or none."""
        with self.connection() as connection:
            for sql in statements:
                self._run(connection, sql)

    def _run(self, connection: Any, sql: str) -> None:
        if self.kind == "duckdb":
            connection.execute(sql)
        else:
            with connection.cursor() as cursor:
                cursor.execute(sql)

    def read(self, sql: str, params: Sequence[Any] | None = None) -> pd.DataFrame:
        """Rows of a query. Parameters are positional; write them as ``{}`` in the SQL text.

        Both engines give the same types: exact decimals as float64, dates and timestamps as datetime64, whole numbers
        as int64 (float64 when one is NULL), text as objects with None.
        """
        params = list(params or [])
        marker = "?" if self.kind == "duckdb" else "%s"
        if params:
            sql = sql.format(*[marker] * len(params))
        with self.connection() as connection:
            if self.kind == "duckdb":
                frame = connection.execute(sql, params).df()
            else:
                with connection.cursor() as cursor:
                    cursor.execute(sql, params or None)
                    columns = [column.name for column in cursor.description]
                    codes = [column.type_code for column in cursor.description]
                    frame = _postgres_frame(cursor.fetchall(), columns, codes)
        return _plain_types(frame)

    def read_table(
        self,
        table: str,
        columns: Sequence[str] | None = None,
        where: dict[str, Any] | None = None,
        order_by: Sequence[str] | None = None,
    ) -> pd.DataFrame:
        """Rows of a table, optionally only where columns equal the given values, in a given order."""
        select = ", ".join(_column(name) for name in columns) if columns else "*"
        sql = f"select {select} from {qualified(table)}"
        params: list[Any] = []
        if where:
            sql += " where " + " and ".join(f"{_column(name)} = {{}}" for name in where)
            params = list(where.values())
        if order_by:
            sql += " order by " + ", ".join(f"{_column(name)} nulls last" for name in order_by)
        return self.read(sql, params)

    def table_exists(self, table: str) -> bool:
        """Whether ``schema.name`` is a table or a view."""
        schema, name = qualified(table).split(".")
        sql = "select 1 from information_schema.tables where table_schema = {} and table_name = {}"
        return len(self.read(sql, [schema, name])) > 0

    def export_parquet(self, sql: str, file: Path) -> int:
        """Write the rows of a query to a Parquet file; returns their number. Memory stays bounded on both engines.

        The query must order its rows: the same rows then give the same bytes.
        """
        file.parent.mkdir(parents=True, exist_ok=True)
        target = str(file).replace("'", "''")
        with self.connection() as connection:
            if self.kind == "duckdb":
                copied = connection.execute(f"copy ({sql}) to '{target}' (format parquet, compression zstd)").fetchone()
                return int(copied[0])
            return _export_from_postgres(connection, sql, file, target)

    # ---------------------------------------------------------------- writing frames

    def replace_table(self, table: str, frame: pd.DataFrame) -> int:
        """Make ``table`` hold exactly ``frame``; returns the number of rows."""
        with self.connection() as connection:
            self._create(connection, table, frame, replace=True)
            self._insert(connection, table, frame)
        return len(frame)

    def replace_slice(
        self, table: str, frame: pd.DataFrame, *, as_of_date: date, types: Mapping[str, str] | None = None
    ) -> int:
        """Make the rows of ``as_of_date`` in ``table`` exactly ``frame``; other days stay. Again changes nothing.

        A table whose columns differ from the frame's (an older version wrote it) is an error, never a silent drop.
        ``types`` are the SQL types of the columns of a new table; without them they are read off the frame, which knows
        nothing about a column that is empty on its first day.
        """
        with self.connection() as connection:
            self._create(connection, table, frame, replace=False, types=types)
            self._run(connection, f"delete from {qualified(table)} where as_of_date = date '{as_of_date.isoformat()}'")
            self._insert(connection, table, frame)
        return len(frame)

    def append(self, table: str, frame: pd.DataFrame) -> int:
        """Add rows; the table is made from the frame when it is not there."""
        with self.connection() as connection:
            self._create(connection, table, frame, replace=False)
            self._insert(connection, table, frame)
        return len(frame)

    def _create(
        self,
        connection: Any,
        table: str,
        frame: pd.DataFrame,
        *,
        replace: bool,
        types: Mapping[str, str] | None = None,
    ) -> None:
        schema, _ = qualified(table).split(".")
        self._run(connection, f"create schema if not exists {schema}")
        kinds = types or {name: _sql_type(frame[name]) for name in frame.columns}
        columns = ", ".join(f"{_column(name)} {kinds[name]}" for name in frame.columns)
        if replace:
            # Views of dbt may stand on the table: empty it when the shape is the same, drop it only when it is not.
            existing = self.read(
                "select column_name from information_schema.columns where table_schema = {} and table_name = {}"
                " order by ordinal_position",
                table.split("."),
            )["column_name"].tolist()
            if existing == list(frame.columns):
                self._run(connection, f"delete from {table}")
                return
            self._run(connection, f"drop table if exists {table}")
        self._run(connection, f"create table if not exists {table} ({columns})")

    def _insert(self, connection: Any, table: str, frame: pd.DataFrame) -> None:
        if frame.empty:
            return
        names = ", ".join(_column(name) for name in frame.columns)
        if self.kind == "duckdb":
            connection.register("_frame_to_insert", frame)
            connection.execute(f"insert into {table} ({names}) select {names} from _frame_to_insert")
            connection.unregister("_frame_to_insert")
            return
        buffer = io.StringIO()
        frame.to_csv(buffer, index=False, header=False, na_rep="\\N", date_format="%Y-%m-%d %H:%M:%S.%f", quoting=0)
        buffer.seek(0)
        with connection.cursor() as cursor:
            cursor.copy_expert(f"copy {table} ({names}) from stdin with (format csv, null '\\N')", buffer)


_OPEN: ContextVar[dict[Warehouse, Any]] = ContextVar("open_warehouse_connections", default={})  # noqa: B039 - never mutated


def _sql_type(values: pd.Series) -> str:
    dtype = values.dtype
    if pd.api.types.is_bool_dtype(dtype):
        return "boolean"
    if pd.api.types.is_integer_dtype(dtype):
        return "bigint"
    if pd.api.types.is_float_dtype(dtype):
        return "double precision"
    if pd.api.types.is_datetime64_any_dtype(dtype):
        return "timestamp"
    first = next((value for value in values if value is not None and value is not pd.NaT and value == value), None)
    if isinstance(first, date):
        return "date"
    if isinstance(first, bool | np.bool_):
        return "boolean"
    return "text"


def _export_from_postgres(connection: Any, sql: str, file: Path, target: str) -> int:
    """COPY to a CSV beside the target, then DuckDB turns it into Parquet with the server's own types."""
    import duckdb

    with connection.cursor() as cursor:
        cursor.execute(f"select * from ({sql}) as q limit 0")
        types = {column.name: _duckdb_type(column) for column in cursor.description}
        text = file.with_suffix(".csv.tmp")
        with text.open("wb") as stream:
            cursor.copy_expert(f"copy ({sql}) to stdout with (format csv, header, null '\\N')", stream)
    described = ", ".join(f"'{name}': '{kind}'" for name, kind in types.items())
    source = str(text).replace("'", "''")
    try:
        with duckdb.connect() as local:
            copied = local.execute(
                f"copy (select * from read_csv('{source}', header = true, delim = ',', quote = '\"', escape = '\"',"
                f" nullstr = '\\N', columns = {{{described}}})) to '{target}' (format parquet, compression zstd)"
            ).fetchone()
    finally:
        text.unlink(missing_ok=True)
    return int(copied[0]) if copied else 0


def _duckdb_type(column: Any) -> str:
    named = {16: "BOOLEAN", 20: "BIGINT", 21: "SMALLINT", 23: "INTEGER", 700: "FLOAT", 701: "DOUBLE", 1082: "DATE"}
    if column.type_code in {_PG_TIMESTAMP, _PG_TIMESTAMPTZ}:
        return "TIMESTAMP"
    if column.type_code == 1700:
        return (
            f"DECIMAL({column.precision},{column.scale})" if column.precision and column.precision <= 38 else "DOUBLE"
        )
    return named.get(column.type_code, "VARCHAR")


_PG_BOOL, _PG_DATE, _PG_TIMESTAMP, _PG_TIMESTAMPTZ = 16, 1082, 1114, 1184
_PG_INTEGERS, _PG_NUMBERS = {20, 21, 23}, {700, 701, 1700}


def _postgres_frame(rows: list[tuple[Any, ...]], columns: list[str], codes: list[int]) -> pd.DataFrame:
    """Frame with the types that DuckDB would give, from psycopg2's rows."""
    frame = pd.DataFrame(rows, columns=columns, dtype=object)
    for name, code in zip(columns, codes, strict=True):
        if code in _PG_NUMBERS or (code in _PG_INTEGERS and frame[name].isna().any()):
            frame[name] = frame[name].astype("float64")
        elif code in _PG_INTEGERS:
            frame[name] = frame[name].astype("int64")
        elif code in {_PG_DATE, _PG_TIMESTAMP, _PG_TIMESTAMPTZ}:
            frame[name] = pd.to_datetime(frame[name], utc=code == _PG_TIMESTAMPTZ)
            if code == _PG_TIMESTAMPTZ:
                frame[name] = frame[name].dt.tz_localize(None)
        elif code == _PG_BOOL and not frame[name].isna().any():
            frame[name] = frame[name].astype(bool)
    return frame


def _plain_types(frame: pd.DataFrame) -> pd.DataFrame:
    """One set of types whatever the engine: text as object with None, decimals as float64, times in microseconds."""
    for name in frame.columns:
        values = frame[name]
        if isinstance(values.dtype, pd.StringDtype):
            values = values.astype(object)
            frame[name] = values.where(values.notna(), None)
        elif pd.api.types.is_datetime64_any_dtype(values.dtype):
            frame[name] = values.astype("datetime64[us]")
        elif pd.api.types.is_float_dtype(values.dtype) and values.dtype != np.float64:
            frame[name] = values.astype("float64")
        elif pd.api.types.is_integer_dtype(values.dtype) and values.dtype != np.int64:
            frame[name] = values.astype("float64" if values.isna().any() else "int64")
        elif isinstance(values.dtype, pd.BooleanDtype):
            plain = values.astype(object)
            frame[name] = plain.where(values.notna(), None) if values.isna().any() else values.astype(bool)
    return frame
