"""The dbt project built over a book on either engine, and its tables read back."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import yaml

from puntual.warehouse.catalog import TableSpec, described_tables
from tests.dbt.book import Book
from tests.parsed import share_parsed_projects

PROJECT = Path(__file__).resolve().parents[2] / "dbt_project"
SOURCES = [PROJECT / "models" / "staging" / name for name in ("_raw__sources.yml", "_decided__sources.yml")]

COMPARED = ("marts", "features", "kpis", "reporting", "star", "reference")
"""Schemas whose every table must be the same on both engines."""

MODELS_ONLY = ("build", "--exclude-resource-type", "test", "--exclude-resource-type", "unit_test")

Row = dict[str, Any]


@dataclass(frozen=True)
class Built:
    """Rows of the project's tables by their key, as Python values (exact decimals)."""

    tables: dict[str, dict[tuple[Any, ...], Row]]

    def rows(self, table: str, **where: Any) -> list[Row]:
        return [row for row in self.tables[table].values() if all(row[name] == value for name, value in where.items())]

    def row(self, table: str, **where: Any) -> Row:
        (row,) = self.rows(table, **where)
        return row


def source_columns() -> dict[str, dict[str, str]]:
    """Column types of the tables that dbt reads and does not build, from their descriptions."""
    sources = [source for file in SOURCES for source in yaml.safe_load(file.read_text(encoding="utf-8"))["sources"]]
    return {
        f"{source['name']}.{table['name']}": {column["name"]: column["data_type"] for column in table["columns"]}
        for source in sources
        for table in source["tables"]
        if "identifier" not in table  # another name of a table that is described
    }


def control_rows(book: Book, built: Book | None = None) -> dict[str, list[Row]]:
    """Rows of the control tables for a book, built anew or on top of the book that was built before."""
    flags = ("is_score", "is_month_end", "is_week_end", "is_day", "is_risk_training", "is_channel_training")
    history = set(flags[:4])
    left = {day for day, asked in built.spine.items() if asked & history} if built else set()
    parameters = {
        "as_of_date": book.as_of,
        "sample_below": book.sample_below,
        "is_full_build": built is None,
        "built_as_of_date": built.as_of if built else None,
        "built_load_id": built.newest_load if built else None,
        "history_start_date": min(book.spine, default=book.as_of).replace(day=1),
        "load_id": book.newest_load,
    }
    dates = [
        {"as_of_date": day, **{flag: flag in asked for flag in flags}, "is_built": day in left}
        for day, asked in sorted(book.spine.items())
    ]
    return {"control.run_parameters": [parameters], "control.as_of_dates": dates}


def statements(book: Book) -> Iterator[tuple[str, list[tuple[Any, ...]]]]:
    """SQL that makes the source tables of a book, with the rows to insert; ``?`` marks a parameter.

    A table of the book is one of raw, unless its name says another schema.
    """
    for schema in ("raw", "control", "decisions", "ml", "measured"):
        yield f"create schema if not exists {schema}", []
    rows = {name if "." in name else f"raw.{name}": table for name, table in book.tables.items()}
    rows |= control_rows(book)
    for table, columns in source_columns().items():
        described = ", ".join(f'"{name}" {kind}' for name, kind in columns.items())
        yield f"drop table if exists {table} cascade", []
        yield f"create table {table} ({described})", []
        values = [tuple(row.get(name) for name in columns) for row in rows.get(table, [])]
        if values:
            yield f"insert into {table} values ({', '.join('?' * len(columns))})", values


def load_duckdb(book: Book, file: Path) -> None:
    import duckdb

    with duckdb.connect(str(file), config={"storage_compatibility_version": "v1.5.0"}) as connection:
        for sql, values in statements(book):
            if values:
                insert(connection, sql, values)
            else:
                connection.execute(sql)


def insert(connection: Any, sql: str, rows: list[tuple[Any, ...]]) -> None:
    """``insert into ... values (?, ...)`` of DuckDB for many rows in few statements: one for each row costs seconds a book."""
    head, one = sql.split(" values ")
    at_once = max(1, 1000 // len(rows[0]))
    for start in range(0, len(rows), at_once):
        part = rows[start : start + at_once]
        connection.execute(f"{head} values {', '.join([one] * len(part))}", [value for row in part for value in row])


def create_database(url: str, name: str) -> str:
    """A database of its own on the same server; returns its address."""
    import psycopg2

    connection = psycopg2.connect(url)
    connection.autocommit = True
    try:
        with connection.cursor() as cursor:
            cursor.execute(f"create database {name}")
    finally:
        connection.close()
    return urlsplit(url)._replace(path=f"/{name}").geturl()


def load_postgres(book: Book, url: str) -> None:
    import psycopg2
    from psycopg2.extras import execute_batch

    connection = psycopg2.connect(url)
    try:
        with connection, connection.cursor() as cursor:
            for sql, values in statements(book):
                if values:
                    execute_batch(cursor, sql.replace("?", "%s"), values, page_size=500)
                else:
                    cursor.execute(sql)
    finally:
        connection.close()


@contextmanager
def _environment(values: dict[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def run_dbt(arguments: list[str], environment: dict[str, str], folder: Path, project: Path = PROJECT) -> Any:
    """dbt in this process; its connections are closed afterwards, because DuckDB's would keep the file locked.

    It logs nothing, which is a fifth of its time: what failed is in the error.
    """
    from dbt.adapters.factory import FACTORY
    from dbt.cli.main import dbtRunner

    share_parsed_projects()
    command = [*arguments, "--project-dir", project, "--profiles-dir", project, "--target-path", folder / "target",
               "--log-path", folder / "logs", "--quiet", "--no-version-check",
               "--log-level", "none", "--log-level-file", "none"]  # fmt: skip
    with _environment(environment):
        try:
            outcome = dbtRunner().invoke([str(part) for part in command])
        finally:
            for adapter in FACTORY.adapters.values():
                adapter.cleanup_connections()
                if hasattr(adapter.connections, "close_all_connections"):
                    adapter.connections.close_all_connections()
    if not outcome.success:
        failed = [
            f"{r.node.name}: {r.message}"
            for r in getattr(outcome.result, "results", [])
            if r.status in {"error", "fail"}
        ]
        raise AssertionError("\n".join(failed) or str(outcome.exception))
    return outcome.result


def duckdb_environment(file: Path) -> dict[str, str]:
    return {"PUNTUAL_DBT_TARGET": "duckdb", "PUNTUAL_DUCKDB_PATH": str(file), "PUNTUAL_THREADS": "2"}


def postgres_environment(url: str) -> dict[str, str]:
    parts = urlsplit(url)
    query = parse_qs(parts.query)
    return {
        "PUNTUAL_DBT_TARGET": "postgres",
        "PUNTUAL_PG_HOST": unquote(query.get("host", [parts.hostname or "localhost"])[0]),
        "PUNTUAL_PG_PORT": str(parts.port or 5432),
        "PUNTUAL_PG_USER": parts.username or "postgres",
        "DBT_ENV_SECRET_PUNTUAL_PG_PASSWORD": parts.password or "",
        "PUNTUAL_PG_DBNAME": parts.path.lstrip("/") or "postgres",
        "PUNTUAL_THREADS": "2",
    }


def described(folder: Path) -> dict[str, TableSpec]:
    """The tables of the compared schemas, from the manifest that the build in ``folder`` left."""
    manifest = json.loads((folder / "target" / "manifest.json").read_text(encoding="utf-8"))
    return described_tables(manifest, COMPARED)


def keys(folder: Path, connection: Any) -> dict[str, list[str]]:
    """The key of each compared table that was built."""
    cursor = connection.cursor()
    cursor.execute("select table_schema || '.' || table_name from information_schema.tables")
    there = {name for (name,) in cursor.fetchall()}
    return {name: list(spec.key) for name, spec in described(folder).items() if name in there}


def collect(connection: Any, tables: Mapping[str, list[str]]) -> Built:
    """Every row of the tables; fails when a key is not unique."""
    found: dict[str, dict[tuple[Any, ...], Row]] = {}
    for table in tables:
        cursor = connection.cursor()
        cursor.execute(f"select * from {table}")
        names = [column[0] for column in cursor.description]
        rows = [dict(zip(names, values, strict=True)) for values in cursor.fetchall()]
        # A part that is united into a table with a key has none of its own: all but its doubles name a row.
        key = tables[table] or [name for name in names if not any(isinstance(row[name], float) for row in rows)]
        found[table] = {tuple(row[name] for name in key): row for row in rows}
        assert len(found[table]) == len(rows), f"the key of {table} is not unique"
    return Built(found)


def build_on_duckdb(book: Book, folder: Path, *arguments: str, tables: Mapping[str, list[str]] | None = None) -> Built:
    file = folder / "warehouse.duckdb"
    file.unlink(missing_ok=True)
    load_duckdb(book, file)
    run_dbt(list(arguments or MODELS_ONLY), duckdb_environment(file), folder)
    return read_on_duckdb(folder, tables)


def read_on_duckdb(folder: Path, tables: Mapping[str, list[str]] | None = None) -> Built:
    """What stands in the warehouse of ``folder``."""
    import duckdb

    with duckdb.connect(str(folder / "warehouse.duckdb"), read_only=True) as connection:
        return collect(connection, tables or keys(folder, connection))


def deliver_on_duckdb(book: Book, file: Path, tables: Iterable[str]) -> None:
    """Some raw tables of a book, and the control tables, in the place of those that are there."""
    import duckdb

    rows = {f"raw.{name}": book.tables.get(name, []) for name in tables} | control_rows(book)
    described = source_columns()
    with duckdb.connect(str(file), config={"storage_compatibility_version": "v1.5.0"}) as connection:
        for table, delivered in rows.items():
            connection.execute(f"delete from {table}")
            values = [tuple(row.get(name) for name in described[table]) for row in delivered]
            if values:
                insert(connection, f"insert into {table} values ({', '.join('?' * len(described[table]))})", values)


def build_on_postgres(
    book: Book, url: str, folder: Path, *arguments: str, tables: Mapping[str, list[str]] | None = None
) -> Built:
    import psycopg2

    load_postgres(book, url)
    run_dbt(list(arguments or MODELS_ONLY), postgres_environment(url), folder)
    connection = psycopg2.connect(url)
    try:
        return collect(connection, tables or keys(folder, connection))
    finally:
        connection.close()


def differences(left: Built, right: Built, *, skip: Iterable[str] = ()) -> list[str]:
    """What differs, table by table: exact for everything but doubles, which may differ by 1e-9 of their size."""
    found = []
    for table in left.tables:
        if table not in skip:
            found += [f"{table}: {text}" for text in row_differences(left.tables[table], right.tables[table])]
    return found


def row_differences(left: dict[tuple[Any, ...], Row], right: dict[tuple[Any, ...], Row]) -> list[str]:
    found = [f"{key} only on one side" for key in left.keys() ^ right.keys()]
    for key in left.keys() & right.keys():
        if left[key].keys() != right[key].keys():
            return [f"columns differ: {list(left[key])} and {list(right[key])}"]
        for name, one in left[key].items():
            other = right[key][name]
            close = (
                isinstance(one, float)
                and isinstance(other, float)
                and abs(one - other) <= 1e-9 * max(abs(one), abs(other))
            )
            if one != other and not close:
                found.append(f"{key} {name}: {one!r} and {other!r}")
    return found
