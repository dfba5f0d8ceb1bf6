"""One interface to the two warehouses: a DuckDB file by default, PostgreSQL in production.

A connection lives as long as one call (or one ``with`` block): DuckDB lets one process write a file, and dbt is next.
"""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd

from puntual.errors import UsageError, WarehouseError
from puntual.settings import database_password

if TYPE_CHECKING:
    import pyarrow as pa

_NAME = re.compile(r"^[a-z_][a-z0-9_]*$")

# Files written by DuckDB 2 with its own newest format cannot be read by the 1.x clients that Power BI and ODBC use.
_DUCKDB_FORMAT = "v1.5.0"

_LIBPQ_VARIABLES = {
    "sslmode": "PGSSLMODE",
    "sslrootcert": "PGSSLROOTCERT",
    "sslcert": "PGSSLCERT",
    "sslkey": "PGSSLKEY",
    "passfile": "PGPASSFILE",
    "options": "PGOPTIONS",
    "connect_timeout": "PGCONNECT_TIMEOUT",
    "gssencmode": "PGGSSENCMODE",
    "target_session_attrs": "PGTARGETSESSIONATTRS",
}

_CSV_BLOCK_BYTES = 32 << 20
"""One row must fit: a text of more than this in one cell cannot be read."""


def qualified(table: str) -> str:
    """``schema.name`` after a check that both are plain lower-case identifiers: they are put into SQL text.

    Raises:
        UsageError: the name is not of that form.
    """
    parts = table.split(".")
    if len(parts) != 2 or not all(_NAME.match(part) for part in parts):
        raise UsageError(f"{table!r} is not a table name of the form schema.name")
    return table


def column_name(name: str) -> str:
    """``name`` after the same check.

    Raises:
        UsageError: the name is not of that form.
    """
    if not _NAME.match(name):
        raise UsageError(f"{name!r} is not a column name")
    return name


def without_progress_bar(connection: Any) -> None:
    """Keep a DuckDB connection quiet.

    Only where it would not be: in a notebook without ipywidgets DuckDB shows no bar and refuses to be told so.
    """
    if connection.execute("select current_setting('enable_progress_bar')").fetchone()[0]:
        connection.execute("set enable_progress_bar = false")


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
            without_progress_bar(connection)
            return connection
        import psycopg2

        try:
            connection = psycopg2.connect(self.url)
        except (psycopg2.OperationalError, psycopg2.ProgrammingError) as error:
            raise WarehouseError(
                f"PostgreSQL at {self.safe_url} does not answer: {str(error).strip()}\nIs the server running, does the "
                "database exist, and may this login enter (~/.pgpass or PGPASSWORD)? See docs/postgresql.md."
            ) from error
        with connection.cursor() as cursor:
            cursor.execute("set timezone = 'UTC'")
            # Whatever the database's own setting: numbers and dates go through text on their way in and out.
            cursor.execute("set datestyle = 'ISO, YMD'")
            cursor.execute("set extra_float_digits = 1")
            cursor.execute("set client_encoding = 'UTF8'")
        connection.commit()
        return connection

    @contextmanager
    def session(self) -> Iterator[Any]:
        """A connection of its own, outside any block of :meth:`connection`; its user commits. PostgreSQL only.

        Raises:
            WarehouseError: the server does not answer.
        """
        connection = self._connect()
        try:
            yield connection
        finally:
            connection.close()

    @property
    def parameters(self) -> dict[str, str]:
        """The parts of a PostgreSQL address as libpq names them (user, host, dbname, sslmode …); user is always there.

        Raises:
            UsageError: the address cannot be read.
        """
        import psycopg2
        from psycopg2.extensions import parse_dsn

        try:
            parts = parse_dsn(self.url)
        except psycopg2.ProgrammingError as error:
            raise UsageError(f"warehouse.url: {self.safe_url} cannot be read: {str(error).strip()}") from error
        return {"user": "postgres", **{name: str(value) for name, value in parts.items()}}

    @property
    def safe_url(self) -> str:
        """The address without its password, for messages."""
        hidden = re.sub(r"//([^:/@]*):[^@]*@", r"//\1:***@", self.url)
        return re.sub(r"([?&]password=)[^&]*", r"\1***", hidden)

    def dbt_environment(self) -> dict[str, str]:
        """The variables from which ``dbt_project/profiles.yml`` learns where the warehouse is."""
        if self.kind == "duckdb":
            return {
                "PUNTUAL_DBT_TARGET": "duckdb",
                "PUNTUAL_DUCKDB_PATH": str(self.path),
                "PUNTUAL_DUCKDB_MEMORY": f"{self.memory_limit_gb}GB",
                "PUNTUAL_THREADS": str(self.threads),
            }
        parts = self.parameters
        environment = {
            "PUNTUAL_DBT_TARGET": "postgres",
            "PUNTUAL_PG_HOST": parts.get("host", "localhost"),
            "PUNTUAL_PG_PORT": parts.get("port", "5432"),
            "PUNTUAL_PG_USER": parts["user"],
            # An empty one lets libpq look into ~/.pgpass; a variable of its own it would pass over.
            "DBT_ENV_SECRET_PUNTUAL_PG_PASSWORD": parts.get("password") or database_password() or "",
            "PUNTUAL_PG_DBNAME": parts.get("dbname", parts["user"]),
            "PUNTUAL_THREADS": str(self.threads),
            "PGSSLMODE": "prefer",
            # Large sorts in memory. Compiling a plan costs these queries more than it saves, and where several columns
            # join, the planner expects one row and would read a whole table once for each of thousands.
            "PGOPTIONS": f"-c work_mem={self._work_memory_mb}MB -c jit=off -c enable_nestloop=off",
        }
        # What dbt's profile has no word for, libpq reads from its own variables.
        for name, variable in _LIBPQ_VARIABLES.items():
            if name in parts:
                environment[variable] = parts[name]
        return environment

    @property
    def _work_memory_mb(self) -> int:
        """What one sort or hash of a session may take: a plan has several, and each thread has a plan."""
        return int(min(max(self.memory_limit_gb * 1024 / (32 * self.threads), 16), 512))

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
                    frame = _postgres_frame(cursor, cursor.mogrify(sql, params).decode() if params else sql)
        return _plain_types(frame)

    def read_table(
        self,
        table: str,
        columns: Sequence[str] | None = None,
        where: dict[str, Any] | None = None,
        order_by: Sequence[str] | None = None,
    ) -> pd.DataFrame:
        """Rows of a table, optionally only where columns equal the given values, in a given order."""
        select = ", ".join(column_name(name) for name in columns) if columns else "*"
        sql = f"select {select} from {qualified(table)}"
        params: list[Any] = []
        if where:
            sql += " where " + " and ".join(f"{column_name(name)} = {{}}" for name in where)
            params = list(where.values())
        if order_by:
            sql += " order by " + ", ".join(f"{column_name(name)} nulls last" for name in order_by)
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
            return _export_from_postgres(connection, sql, file)

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

    def append(self, table: str, frame: pd.DataFrame, *, types: Mapping[str, str] | None = None) -> int:
        """Add rows; the table is made from the frame, or with the SQL ``types``, when it is not there."""
        with self.connection() as connection:
            self._create(connection, table, frame, replace=False, types=types)
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
        schema, name_only = qualified(table).split(".")
        self._run(connection, f"create schema if not exists {schema}")
        kinds = types or {name: _sql_type(frame[name]) for name in frame.columns}
        columns = ", ".join(f"{column_name(name)} {kinds[name]}" for name in frame.columns)
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
        if self.kind == "postgres" and not replace and "as_of_date" in frame.columns:
            # Years of days lie in one table, and each run asks for one of them.
            self._run(connection, f"create index if not exists {name_only}_as_of_date on {table} (as_of_date)")

    def _insert(self, connection: Any, table: str, frame: pd.DataFrame) -> None:
        if frame.empty:
            return
        rows = _arrow(frame)
        if self.kind == "duckdb":
            names = ", ".join(column_name(name) for name in frame.columns)
            connection.register("_frame_to_insert", rows)
            connection.execute(f"insert into {table} ({names}) select {names} from _frame_to_insert")
            connection.unregister("_frame_to_insert")
            return
        with connection.cursor() as cursor:
            copy_in(cursor, table, frame.columns, rows.to_reader())
            cursor.execute(f"analyze {table}")


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
    first = next((value for value in values if not _is_null(value)), None)
    if isinstance(first, datetime):
        return "timestamp"
    if isinstance(first, date):
        return "date"
    if isinstance(first, bool | np.bool_):
        return "boolean"
    if isinstance(first, Decimal):
        scale = max(-int(value.as_tuple().exponent) for value in values if not _is_null(value))
        return f"numeric(38,{max(scale, 0)})"
    return "text"


def _is_null(value: Any) -> bool:
    return value is None or value is pd.NaT or value is pd.NA or (isinstance(value, float | Decimal) and value != value)


def _arrow(frame: pd.DataFrame) -> pa.Table:
    """The frame's values with the types of the table that :func:`_sql_type` gives it, NULL where there is none."""
    import pyarrow as pa

    return pa.table({name: _arrow_column(frame[name]) for name in frame.columns})


def _arrow_column(values: pd.Series) -> pa.Array:
    import pyarrow as pa

    kind = _sql_type(values)
    if kind == "text":
        texts = [None if _is_null(value) else value if isinstance(value, str) else str(value) for value in values]
        return pa.array(texts, pa.string())
    if kind == "timestamp":
        times = pd.to_datetime(values, utc=getattr(values.dtype, "tz", None) is not None or values.dtype == object)
        if times.dt.tz is not None:
            times = times.dt.tz_localize(None)
        return pa.array(times.astype("datetime64[us]"), pa.timestamp("us"), from_pandas=True)
    if kind.startswith("numeric"):
        scale = int(kind[:-1].split(",")[1])
        return pa.array([None if _is_null(value) else value for value in values], pa.decimal128(38, scale))
    plain = {"boolean": pa.bool_(), "bigint": pa.int64(), "double precision": pa.float64(), "date": pa.date32()}
    if values.dtype == object:
        return pa.array([None if _is_null(value) else value for value in values], plain[kind])
    return pa.array(values, plain[kind], from_pandas=True)


def copy_in(cursor: Any, table: str, columns: Iterable[str], rows: pa.RecordBatchReader) -> int:
    """Append rows to a PostgreSQL table by COPY; returns their number. NULL is nothing, empty text a pair of quotes."""
    import pyarrow.csv

    options = pyarrow.csv.WriteOptions(include_header=False, quoting_style="needed")

    def send(sink: Any) -> None:
        with pyarrow.csv.CSVWriter(sink, rows.schema, write_options=options) as writer:
            for batch in rows:
                writer.write_batch(batch)

    names = ", ".join(column_name(name) for name in columns)
    with through_a_pipe(send) as source:
        cursor.copy_expert(f"copy {table} ({names}) from stdin with (format csv)", source, size=1 << 20)
    return int(cursor.rowcount)


@contextmanager
def through_a_pipe(write: Callable[[Any], Any]) -> Iterator[Any]:
    """What another thread writes, as a stream to read; its error is ours. Nothing is ever whole in memory."""
    reading, writing = os.pipe()
    failed: list[BaseException] = []

    def run() -> None:
        try:
            with os.fdopen(writing, "wb", buffering=1 << 20) as sink:
                write(sink)
        except BaseException as error:
            failed.append(error)

    writer = threading.Thread(target=run, name="pipe")
    source = os.fdopen(reading, "rb", buffering=1 << 20)
    writer.start()
    try:
        yield source
    except BaseException:
        source.close()  # the writer sees a broken pipe and ends
        writer.join()
        if failed and not isinstance(failed[0], BrokenPipeError):
            raise failed[0] from None
        raise
    source.close()
    writer.join()
    if failed:
        raise failed[0]


def _export_from_postgres(connection: Any, sql: str, file: Path) -> int:
    """COPY through a pipe into DuckDB, which writes Parquet with the server's own types; exact decimals stay exact."""
    import duckdb

    target = str(file).replace("'", "''")
    with connection.cursor() as cursor, copied_out(cursor, sql, exact=True) as rows, duckdb.connect() as local:
        local.execute("set timezone = 'UTC'")
        local.register("_rows_to_export", rows)
        selected = ", ".join(
            f'cast("{field.name}" as timestamp) as "{field.name}"'
            if str(field.type).startswith("timestamp")
            else f'"{field.name}"'
            for field in rows.schema
        )
        copied = local.execute(
            f"copy (select {selected} from _rows_to_export) to '{target}' (format parquet, compression zstd)"
        ).fetchone()
    return int(copied[0]) if copied else 0


@contextmanager
def copied_out(cursor: Any, sql: str, *, exact: bool) -> Iterator[pa.RecordBatchReader]:
    """Rows of a query as Arrow batches with the server's types, by COPY: many times as fast as one by one.

    Decimals are decimals when ``exact``, else the nearest double of what is written.
    """
    import pyarrow as pa
    import pyarrow.csv

    cursor.execute(f"select * from ({sql}) as q limit 0")
    types = {column.name: _arrow_type(column, exact=exact) for column in cursor.description}
    if len(types) < len(cursor.description):
        raise UsageError(f"two columns of a query have the same name: {[column.name for column in cursor.description]}")
    statement = f"copy ({sql}) to stdout with (format csv, header, null '\\N')"
    with through_a_pipe(lambda sink: cursor.copy_expert(statement, sink, size=1 << 20)) as source:
        yield pyarrow.csv.open_csv(
            pa.PythonFile(source, mode="r"),
            read_options=pyarrow.csv.ReadOptions(block_size=_CSV_BLOCK_BYTES),
            parse_options=pyarrow.csv.ParseOptions(newlines_in_values=True, ignore_empty_lines=False),
            convert_options=pyarrow.csv.ConvertOptions(
                column_types=types,
                null_values=["\\N"],
                true_values=["t"],
                false_values=["f"],
                strings_can_be_null=True,
                quoted_strings_can_be_null=False,
                timestamp_parsers=[pyarrow.csv.ISO8601],
            ),
        )


_PG_BOOL, _PG_DATE, _PG_TIMESTAMP, _PG_TIMESTAMPTZ, _PG_NUMERIC = 16, 1082, 1114, 1184, 1700


def _arrow_type(column: Any, *, exact: bool) -> pa.DataType:
    import pyarrow as pa

    code = column.type_code
    if code == _PG_NUMERIC:
        fits = column.precision and column.scale is not None and 0 <= column.scale <= column.precision <= 38
        return pa.decimal128(column.precision, column.scale) if exact and fits else pa.float64()
    named = {
        _PG_BOOL: pa.bool_(),
        21: pa.int16(),
        23: pa.int32(),
        20: pa.int64(),
        700: pa.float32(),
        701: pa.float64(),
        _PG_DATE: pa.date32(),
        _PG_TIMESTAMP: pa.timestamp("us"),
        _PG_TIMESTAMPTZ: pa.timestamp("us", tz="UTC"),
    }
    return named.get(code, pa.string())


def _postgres_frame(cursor: Any, sql: str) -> pd.DataFrame:
    """Rows of a query with the types that DuckDB would give."""
    import pyarrow as pa

    with copied_out(cursor, sql, exact=False) as reader:
        rows = reader.read_all()
    columns = []
    for field in rows.schema:
        values = rows.column(field.name)
        if pa.types.is_date(field.type) or pa.types.is_timestamp(field.type):
            values = values.cast(pa.timestamp("us"))  # of UTC, without saying so
        columns.append(values)
    return pa.table(columns, names=rows.schema.names).to_pandas()


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
