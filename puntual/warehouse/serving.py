"""The published tables in PostgreSQL: complete and of one date for every reader, or those of the day before.

A publication is a schema ``serving_<date>_<hash>`` of tables, filled while nobody looks at it. What people read is the
schema ``bi`` of views on one publication. The new views are made beside the old ones, and two schema names change place
in one transaction that first waits until no reader is between two questions. So a reader, whether one statement over
several tables or a transaction of several statements, sees one publication: the one it began with, or the new one.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from puntual.errors import PublishError, UsageError
from puntual.warehouse.connect import Warehouse, column_name, through_a_pipe
from puntual.warehouse.roles import ACCESS_SCHEMA, BI, LEAST_VERSION, OWNER, PUBLISHED_SCHEMA, READER, server_version

_LAYOUT = 2
"""Goes up when tables, policies or indexes are laid out differently: the same content is then published anew."""

_NEXT = f"{PUBLISHED_SCHEMA}_next"
_REPLACED = f"{PUBLISHED_SCHEMA}_replaced"
_BRANCH = "_branch_id"
_TOTALS = ("fct_", "rpt_")
"""Facts and reports: one of them that has no branch is about the whole institution, not a list of words for all."""
_OWN_KEYS = {"dim_branches": "branch_key", "dim_loans": "loan_key", "dim_customers": "customer_key"}
"""Keys of the dimensions that have a branch; -1 is the row for what is unknown, which belongs to every reader."""
_INDEXED_FROM_ROWS = 20_000

# Shorter than PostgreSQL's deadlock_timeout (1 s): we give way before the server ends a reader's transaction for us.
_TRY_MS = 400
_PAUSE_SECONDS = 0.5


@dataclass(frozen=True)
class PublishedTable:
    """One table that readers see.

    Attributes:
        select: its query; what it reads exists when the day is published.
        order_by: columns by which its rows are laid down; facts by date first, so that a period is read in one piece.
        key: columns that no two rows share; none when they may.
        description: what it is and what one row is.
        columns: column descriptions; others are published without one.
    """

    select: str
    order_by: Sequence[str]
    key: Sequence[str] = ()
    description: str = ""
    columns: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class ServedPublication:
    """What publishing to PostgreSQL did.

    Attributes:
        schema: where its tables are.
        is_current: readers of ``bi`` see it now; False when a newer date is published there.
        is_new: False when the same tables had been written before.
    """

    schema: str
    is_current: bool
    is_new: bool


@contextmanager
def staged_publication(
    warehouse: Warehouse,
    tables: Mapping[str, PublishedTable],
    as_of: date,
    content_name: str,
    *,
    run_id: str = "",
    schema_version: int = 1,
    keep: int = 2,
    patience_seconds: float = 300,
) -> Iterator[ServedPublication]:
    """Write the publication, take the readers' place, and change the names when the block ends without an error.

    What must become visible together with it (the link of the snapshot) belongs into the block, and only that: readers
    who come meanwhile wait. An error in the block, or before it, leaves the earlier publication as it was.

    Args:
        warehouse: a PostgreSQL warehouse; its committed tables are read.
        tables: by name.
        as_of: business date; an older date than the published one is written, but does not replace it.
        content_name: name of the snapshot with the same content, shown in ``bi.published``.
        run_id: the run, shown there.
        schema_version: version of the published shape, shown there.
        keep: how many publications stay, the current one included.
        patience_seconds: how long to wait for readers that are in the middle of a transaction.

    Raises:
        UsageError: the warehouse is not PostgreSQL, or a name is not a plain identifier.
        PublishError: the server refused, is too old, or readers did not end in time; names them. Also when the block
            ended well and the server then did not take the change: its text says that the two differ.
    """
    import psycopg2

    if warehouse.kind != "postgres":
        raise UsageError(
            f"The schema {PUBLISHED_SCHEMA} needs a PostgreSQL warehouse; a DuckDB home publishes files only"
        )
    for name in tables:
        column_name(name)
    stands = "The earlier one still stands there"
    try:
        with warehouse.session() as connection:
            has_roles = _look(connection)
            digest = _digest(tables, as_of, content_name, schema_version, has_roles=has_roles)
            schema = f"serving_{as_of:%Y%m%d}_{digest}"
            published = (as_of, run_id, content_name, schema_version)
            is_new = _write(warehouse, connection, schema, tables, published, has_roles=has_roles)
            if _published_date(connection) > as_of:
                _prune(connection, keep, schema)
                yield ServedPublication(schema, False, is_new)
                return
            _stand_beside(connection, schema, tables, has_roles=has_roles)
            _take_readers_place(connection, patience_seconds)
            try:
                _change_names(connection)
                yield ServedPublication(schema, True, is_new)
            except BaseException:
                connection.rollback()
                raise
            try:
                connection.commit()
            except psycopg2.Error as error:
                raise PublishError(
                    f"PostgreSQL at {warehouse.safe_url} did not take the publication of {as_of} at the very end: "
                    f"{_said(error)}. The files are those of {as_of} ({content_name}) already, the schema "
                    f"{PUBLISHED_SCHEMA} is the earlier one; run the day again, then both are the same."
                ) from error
            stands = "The new one stands there; older ones could not be cleared away"
            _prune(connection, keep, schema)
    except psycopg2.Error as error:
        raise PublishError(
            f"The publication of {as_of} could not be put into PostgreSQL at {warehouse.safe_url}: {_said(error)}. "
            f"{stands}; mend it and run the day again."
        ) from error


def _said(error: Any) -> str:
    """What the server said; without its answer (the connection broke), what the library says."""
    return (error.diag.message_primary if error.diag else None) or str(error).strip()


def _digest(
    tables: Mapping[str, PublishedTable], as_of: date, content_name: str, schema_version: int, *, has_roles: bool
) -> str:
    """Of all that decides what the schema holds; rights too, so that the first day after init-db puts them on."""
    shape = {
        name: [table.select, list(table.order_by), list(table.key), table.description, dict(table.columns)]
        for name, table in tables.items()
    }
    content = json.dumps([_LAYOUT, has_roles, as_of.isoformat(), content_name, schema_version, shape], sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()[:12]


def _look(connection: Any) -> bool:
    """Whether the roles of ``puntual init-db`` are there; a server that is too old is an error."""
    with connection.cursor() as cursor:
        version = server_version(cursor)
        if version < LEAST_VERSION:
            raise PublishError(f"PostgreSQL is version {version}; publication needs {LEAST_VERSION} or newer")
        cursor.execute("select count(*) from pg_roles where rolname = any(%s)", [[OWNER, READER, BI]])
        has_roles = cursor.fetchone()[0] == 3
        cursor.execute("select to_regprocedure(%s) is not null", [f"{ACCESS_SCHEMA}.visible_branches()"])
        has_access = cursor.fetchone()[0]
    connection.commit()
    return bool(has_roles and has_access)


# ------------------------------------------------------------------------------------------------ writing the tables


def _write(
    warehouse: Warehouse,
    connection: Any,
    schema: str,
    tables: Mapping[str, PublishedTable],
    published: tuple[date, str, str, int],
    *,
    has_roles: bool,
) -> bool:
    """Fill the schema of a publication in one transaction; False when it is there already (it is whole then)."""
    with connection.cursor() as cursor:
        cursor.execute("select 1 from pg_namespace where nspname = %s", [schema])
        if cursor.fetchone():
            connection.commit()
            return False
        cursor.execute(f"create schema {schema}")
        _hand_over(cursor, "schema", schema, has_roles=has_roles)
        branches = _Branches.of(cursor, tables)
        with warehouse.session() as source:
            # All tables as of one moment, whatever is written meanwhile.
            source.set_session(isolation_level="REPEATABLE READ", readonly=True)
            for name, table in tables.items():
                rows = _copy(source, cursor, f"{schema}.{name}", table, branches.query(name, table))
                _index(cursor, schema, name, table, rows, branches)
            cursor.execute(
                f"create table {schema}.published (as_of_date date not null, run_id text not null,"
                " content_name text not null, schema_version integer not null)"
            )
            row = cursor.mogrify("values (%s::date, %s, %s, %s)", published).decode()
            _copy_rows(cursor, f"{schema}.published", row, source)
        for name in (*tables, "published"):
            _hand_over(cursor, "table", f"{schema}.{name}", has_roles=has_roles)
            cursor.execute(f"analyze {schema}.{name}")
        if has_roles:
            _guard(cursor, schema, tables, branches)
    connection.commit()
    return True


def _hand_over(cursor: Any, kind: str, name: str, *, has_roles: bool) -> None:
    if has_roles:
        cursor.execute("select pg_has_role(current_user, %s, 'usage')", [OWNER])
        if cursor.fetchone()[0]:
            cursor.execute(f"alter {kind} {name} owner to {OWNER}")


@dataclass(frozen=True)
class _Branches:
    """From where a published table learns the branch of each of its rows."""

    columns: Mapping[str, frozenset[str]]
    tables: Mapping[str, PublishedTable]

    @classmethod
    def of(cls, cursor: Any, tables: Mapping[str, PublishedTable]) -> _Branches:
        columns = {}
        for name, table in tables.items():
            cursor.execute(f"select * from ({table.select}) as q limit 0")
            columns[name] = frozenset(column.name for column in cursor.description)
        return cls(columns, tables)

    def column(self, name: str) -> str | None:
        """The column that a policy looks at; None for a table that has no branch."""
        if "branch_id" in self.columns[name]:
            return "branch_id"
        return _BRANCH if self._ways(name) else None

    def query(self, name: str, table: PublishedTable) -> str:
        """The table's rows, with the branch of their loan or member beside them when they carry none themselves."""
        ways = [] if "branch_id" in self.columns[name] else self._ways(name)
        order = ", ".join(f"q.{column_name(column)} nulls last" for column in table.order_by)
        joins, found = "", []
        for number, (owner, key) in enumerate(ways):
            joins += (
                f" left join (select distinct on ({key}) {key} as k, branch_id from ({self.tables[owner].select}) as o"
                f" where {key} is not null order by {key}, branch_id nulls last) as b{number} on b{number}.k = q.{key}"
            )
            found.append(f"b{number}.branch_id")
        branch = f", coalesce({', '.join(found)}) as {_BRANCH}" if found else ""
        return f"select q.*{branch} from ({table.select}) as q{joins}" + (f" order by {order}" if order else "")

    def _ways(self, name: str) -> list[tuple[str, str]]:
        ways = []
        for owner, keys in (
            ("dim_branches", ("branch_key",)),
            ("dim_loans", ("loan_id", "loan_key")),
            ("dim_customers", ("customer_id", "customer_key")),
        ):
            if owner == name or "branch_id" not in self.columns.get(owner, ()):
                continue
            key = next((key for key in keys if key in self.columns[name] and key in self.columns[owner]), None)
            if key:
                ways.append((owner, key))
        return ways


def _copy(source: Any, cursor: Any, target: str, table: PublishedTable, query: str) -> int:
    """Make ``target`` with the rows of a query; returns their number.

    They go out and in by COPY, because only COPY can write frozen rows: visible to a transaction that began before this
    one ended and asks after the names have changed, which would otherwise find the new tables empty.
    """
    cursor.execute(f"create table {target} as select * from ({query}) as q with no data")
    for column, text in table.columns.items():
        column_name(column)
        cursor.execute(f"comment on column {target}.{column} is %s", [text])
    return _copy_rows(cursor, target, query, source)


def _copy_rows(cursor: Any, target: str, query: str, source: Any) -> int:
    def send(sink: Any) -> None:
        with source.cursor() as rows:
            rows.copy_expert(f"copy ({query}) to stdout with (format binary)", sink, size=1 << 20)

    with through_a_pipe(send) as rows:
        cursor.copy_expert(f"copy {target} from stdin with (format binary, freeze true)", rows, size=1 << 20)
    return int(cursor.rowcount)


def _index(cursor: Any, schema: str, name: str, table: PublishedTable, rows: int, branches: _Branches) -> None:
    """The key as a unique index, a primary key where no part of it is NULL; in large facts, date and branch too."""
    target = f"{schema}.{name}"
    if table.key:
        columns = ", ".join(column_name(column) for column in table.key)
        anything_null = " or ".join(f"{column} is null" for column in table.key)
        cursor.execute(f"select exists (select from {target} where {anything_null})")
        if cursor.fetchone()[0]:
            cursor.execute(f"create unique index on {target} ({columns}) nulls not distinct")
        else:
            cursor.execute(f"alter table {target} add primary key ({columns})")
    if rows < _INDEXED_FROM_ROWS:
        return
    leading = table.key[0] if table.key else None
    wanted = [column for column in ("date_key", "loan_key", "customer_key") if column in branches.columns[name]]
    branch = branches.column(name)
    for column in [*wanted, *([branch] if branch else [])]:
        if column != leading:
            cursor.execute(f"create index on {target} ({column})")


def _guard(cursor: Any, schema: str, tables: Mapping[str, PublishedTable], branches: _Branches) -> None:
    """Rights on the tables, and the branch policy; forced, so that their owner obeys it too.

    A table with a branch shows each reader their branches; facts and reports without one only those who see all; other
    tables without one (dimensions, reference tables) everybody.
    """
    cursor.execute(f"grant usage on schema {schema} to {READER}, {BI}")
    cursor.execute(f"grant select on all tables in schema {schema} to {READER}, {BI}")
    visible = f"(select {ACCESS_SCHEMA}.visible_branches())::text[]"  # once per statement, not per row
    for name in tables:
        branch = branches.column(name)
        if branch is None and not name.startswith(_TOTALS):
            continue
        own_key = _OWN_KEYS.get(name)
        seen = f"'*' = any ({visible})"
        seen += f" or {branch} = any ({visible})" if branch else ""
        seen += f" or {own_key} = -1" if own_key in branches.columns[name] else ""
        target = f"{schema}.{name}"
        cursor.execute(f"alter table {target} enable row level security")
        cursor.execute(f"alter table {target} force row level security")
        cursor.execute(f"create policy everything on {target} for select to {OWNER}, {READER} using (true)")
        cursor.execute(f"create policy own_branches on {target} for select to {BI} using ({seen})")


# ------------------------------------------------------------------------------------------------ changing names


def _published_date(connection: Any) -> date:
    with connection.cursor() as cursor:
        cursor.execute("select to_regclass(%s) is not null", [f"{PUBLISHED_SCHEMA}.published"])
        found = date.min
        if cursor.fetchone()[0]:
            cursor.execute(f"select as_of_date from {PUBLISHED_SCHEMA}.published")
            found = cursor.fetchone()[0]
    connection.commit()
    return found


def _stand_beside(connection: Any, schema: str, tables: Mapping[str, PublishedTable], *, has_roles: bool) -> None:
    """The new views, under a name that nobody reads yet."""
    with connection.cursor() as cursor:
        cursor.execute(f"drop schema if exists {_NEXT} cascade")
        cursor.execute(f"create schema {_NEXT}")
        described = {name: table.description for name, table in tables.items()}
        described["published"] = "What is published: business date, run, snapshot, version of the shape. One row."
        for name, description in described.items():
            cursor.execute(
                "select attname from pg_attribute where attrelid = %s::regclass and attnum > 0 and not attisdropped"
                " order by attnum",
                [f"{schema}.{name}"],
            )
            columns = [column for (column,) in cursor.fetchall() if column != _BRANCH]
            selected = ", ".join(f'"{column}"' for column in columns)
            cursor.execute(
                f"create view {_NEXT}.{name} with (security_invoker = true) as select {selected} from {schema}.{name}"
            )
            if description:
                cursor.execute(f"comment on view {_NEXT}.{name} is %s", [description])
            for column, text in (tables[name].columns if name in tables else {}).items():
                if column in columns:
                    cursor.execute(f"comment on column {_NEXT}.{name}.{column} is %s", [text])
            _hand_over(cursor, "view", f"{_NEXT}.{name}", has_roles=has_roles)
        _hand_over(cursor, "schema", _NEXT, has_roles=has_roles)
        if has_roles:
            cursor.execute(f"grant usage on schema {_NEXT} to {READER}, {BI}")
            cursor.execute(f"grant select on all tables in schema {_NEXT} to {READER}, {BI}")
    connection.commit()


def _views(cursor: Any) -> list[str]:
    cursor.execute(
        "select format('%%I.%%I', n.nspname, c.relname) from pg_class c join pg_namespace n on n.oid = c.relnamespace"
        " where n.nspname = %s and c.relkind in ('v', 'r', 'm') order by 1",
        [PUBLISHED_SCHEMA],
    )
    return [name for (name,) in cursor.fetchall()]


def _take_readers_place(connection: Any, patience_seconds: float) -> None:
    """Lock every published view, so that no transaction has seen one of them and will ask for another.

    Tried briefly and again: between two tries readers go on, and a reader's transaction is never ended for us.
    """
    import psycopg2

    until = time.monotonic() + patience_seconds
    while True:
        with connection.cursor() as cursor:
            views = _views(cursor)
            cursor.execute(f"set local lock_timeout = '{_TRY_MS}ms'")
            try:
                for view in views:
                    cursor.execute(f"lock table {view} in access exclusive mode")
                cursor.execute("set local lock_timeout = 0")
                return
            except (psycopg2.errors.LockNotAvailable, psycopg2.errors.DeadlockDetected):
                connection.rollback()
        if time.monotonic() >= until:
            raise PublishError(_who_stands_in_the_way(connection, patience_seconds))
        time.sleep(_PAUSE_SECONDS)


def _who_stands_in_the_way(connection: Any, waited: float) -> str:
    with connection.cursor() as cursor:
        cursor.execute(
            "select distinct a.pid, a.usename, a.application_name, a.state, a.xact_start::timestamp(0)"
            " from pg_locks l join pg_class c on c.oid = l.relation join pg_namespace n on n.oid = c.relnamespace"
            " join pg_stat_activity a on a.pid = l.pid where n.nspname = %s and l.granted and a.pid <> pg_backend_pid()"
            " and l.database = (select oid from pg_database where datname = current_database()) order by 1",
            [PUBLISHED_SCHEMA],
        )
        sessions = [
            f"  process {pid}: {user}, {program or 'unknown program'}, {state}, in a transaction since {since}"
            for pid, user, program, state, since in cursor.fetchall()
        ]
    connection.rollback()
    return "\n".join(
        [
            f"Readers of the schema {PUBLISHED_SCHEMA} did not end their transactions within {waited:.0f} s:",
            *sessions,
            "The earlier publication stands. Close them (select pg_terminate_backend(process)) and run the day again.",
        ]
    )


def _change_names(connection: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute("select 1 from pg_namespace where nspname = %s", [PUBLISHED_SCHEMA])
        if cursor.fetchone():
            cursor.execute("select to_regclass(%s) is null", [f"{PUBLISHED_SCHEMA}.published"])
            if cursor.fetchone()[0] and _views(cursor):
                raise PublishError(
                    f"The database has a schema {PUBLISHED_SCHEMA} that Puntual did not make; rename it, or give "
                    "Puntual a database of its own. Nothing was changed."
                )
            cursor.execute("select oid from pg_namespace where nspname = %s", [PUBLISHED_SCHEMA])
            # The number makes the name new: what somebody built on an earlier publication may still stand on its name.
            cursor.execute(f"alter schema {PUBLISHED_SCHEMA} rename to {_REPLACED}_{cursor.fetchone()[0]}")
        cursor.execute(f"alter schema {_NEXT} rename to {PUBLISHED_SCHEMA}")


# ------------------------------------------------------------------------------------------------ making room


def _prune(connection: Any, keep: int, latest: str) -> None:
    """Drop replaced views, and the tables of publications beyond ``keep``: kept are the current one, this one, then
    those of the newest dates.

    What somebody's own view stands on, or a reader has open, is left for another day.
    """
    import psycopg2

    with connection.cursor() as cursor:
        cursor.execute("select nspname from pg_namespace where nspname like %s", [f"{_REPLACED}%"])
        drop = [name for (name,) in cursor.fetchall()]
        cursor.execute(
            "select distinct sn.nspname from pg_namespace bn join pg_class v on v.relnamespace = bn.oid"
            " join pg_rewrite r on r.ev_class = v.oid"
            " join pg_depend d on d.classid = 'pg_rewrite'::regclass and d.objid = r.oid"
            " and d.refclassid = 'pg_class'::regclass join pg_class t on t.oid = d.refobjid"
            " join pg_namespace sn on sn.oid = t.relnamespace where bn.nspname = %s and sn.nspname like 'serving\\_%%'",
            [PUBLISHED_SCHEMA],
        )
        always = {name for (name,) in cursor.fetchall()} | {latest}
        cursor.execute("select nspname from pg_namespace where nspname like 'serving\\_%' order by nspname desc")
        others = [name for (name,) in cursor.fetchall() if name not in always]
        drop += others[max(keep - len(always), 0) :]
    connection.commit()
    for schema in drop:
        try:
            with connection.cursor() as cursor:
                cursor.execute(f"set local lock_timeout = '{_TRY_MS}ms'")
                cursor.execute(
                    "select c.relname, c.relkind from pg_class c join pg_namespace n on n.oid = c.relnamespace"
                    " where n.nspname = %s and c.relkind in ('r', 'v')",
                    [schema],
                )
                for name, kind in cursor.fetchall():
                    cursor.execute(f'drop {"view" if kind == "v" else "table"} {schema}."{name}"')
                cursor.execute(f"drop schema {schema}")
            connection.commit()
        except (psycopg2.errors.DependentObjectsStillExist, psycopg2.errors.LockNotAvailable):
            connection.rollback()
