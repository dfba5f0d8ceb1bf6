"""Set-based SQL (DuckDB) between typed rows and raw: unknown keys, repeated keys, what is new and what is gone.

Every function works on temporary tables of one connection and names what it makes; ``stage_<table>`` comes from
:mod:`puntual.landing.read`.
"""

from __future__ import annotations

from collections.abc import Iterable

import duckdb

from puntual.contracts.render import ORPHANED, UNREADABLE, Expectation, rule_column
from puntual.contracts.schema import TableContract
from puntual.landing.casting import literal, quoted
from puntual.landing.outcome import SUPERSEDED_IN_LOAD, SUPERSEDED_IN_RAW
from puntual.landing.raw import RawStore
from puntual.landing.validate import ROW


def _list(names: Iterable[str], prefix: str = "") -> str:
    return ", ".join(prefix + quoted(name) for name in names)


def _match(names: Iterable[str], left: str, right: str) -> str:
    return " and ".join(f"{left}.{quoted(name)} = {right}.{quoted(name)}" for name in names)


def current(store: RawStore, table: TableContract, extra: Iterable[str] = ()) -> str:
    """``current_<table>``: key, ``_row_digest`` and ``extra`` of the newest version of each key that is not deleted."""
    columns = list(dict.fromkeys([*table.key, *extra]))
    versions = store.versions(table, columns)
    name = f"current_{table.table}"
    order = f"_load_id * {1 << 40} + _source_row"
    picked = "".join(
        f", arg_max_null({quoted(column)}, {order}) as {quoted(column)}" for column in columns[len(table.key) :]
    )
    store.work.execute(f"""
        create or replace temp table {name} as
        select {_list(columns)}, _row_digest from (
            select {_list(table.key)}{picked}, arg_max(_row_digest, {order}) as _row_digest,
                arg_max(_is_deleted, {order}) as _is_deleted
            from {versions} group by {_list(table.key)}
        ) where not _is_deleted
    """)
    return name


def known_keys(store: RawStore, table: TableContract, stage: str | None, lookups: Iterable[str]) -> str:
    """``known_<table>``: of every row that counts after this load, the key and what rules of other tables look up.

    Args:
        store: raw.
        table: the referenced table.
        stage: its typed rows when it was read in this load; rows in ``excluded_<table>`` do not count.
        lookups: columns.
    """
    (key,) = table.key
    columns = [key, *lookups]
    name = f"known_{table.table}"
    held = current(store, table, lookups)
    if stage is None:
        store.work.execute(f"create or replace temp table {name} as select {_list(columns)} from {held}")
        return name
    accepted = f"select {_list(columns)} from {stage} where {ROW} not in (select {ROW} from excluded_{table.table})"
    store.work.execute(f"""
        create or replace temp table {name} as
        with accepted as ({accepted})
        select * from accepted
        union all
        select {_list(columns)} from {held} where {quoted(key)} not in (select {quoted(key)} from accepted)
    """)
    return name


def chunk_query(
    table: TableContract, stage: str, suite: Iterable[Expectation], known: dict[str, tuple[str, str]], timezone: str
) -> str:
    """Query of the rows as the suite reads them: its columns only, dates as days and timestamps as seconds since 1970.

    Args:
        table: the contract.
        stage: its typed rows.
        suite: expectations.
        known: referenced table to the relation of its known keys and the key's name; a reference to a table that is not
            in it is not checked.
        timezone: of the calendar days that row rules compare.
    """
    joins, orphans = [], []
    for column, parent in table.references.items():
        if parent not in known:
            continue
        alias = f"p_{column}"
        parent_key = quoted(f"_key_{column}")
        relation, key = known[parent]
        joins.append(
            f" left join (select *, {quoted(key)} as {parent_key} from {relation}) {alias}"
            f" on s.{quoted(column)} = {alias}.{parent_key}"
        )
        orphans.append(
            f"case when s.{quoted(column)} is not null and {alias}.{parent_key} is null then {literal(column)} end"
        )
    selected = {ROW: f"s.{ROW}"}
    selected[UNREADABLE] = f"s.{UNREADABLE}"
    if table.references:
        selected[ORPHANED] = f"nullif(concat_ws(',', {', '.join(orphans)}), '')" if orphans else "cast(null as varchar)"
    for rule in table.row_rules:
        for name in (rule.later, rule.earlier):
            if "." in name:
                column = next(column for column, parent in table.references.items() if parent == name.split(".")[0])
                day = f"p_{column}.{quoted(name.split('.')[1])}"
            elif table.column(name).type == "timestamp":
                day = f"cast(timezone({literal(timezone)}, timezone('UTC', s.{quoted(name)})) as date)"
            else:
                continue
            selected[rule_column(name)] = _days(day)
    for name in dict.fromkeys(name for expectation in suite for name in expectation.columns):
        if name in selected:
            continue
        kind = table.column(name).type
        value = f"s.{quoted(name)}"
        if kind == "date":
            value = _days(value)
        elif kind == "timestamp":
            value = f"epoch({value})"
        elif kind != "text":
            value = f"cast({value} as double)"
        selected[name] = value
    body = ", ".join(f"{expression} as {quoted(name)}" for name, expression in selected.items())
    return f"select {body} from {stage} s{''.join(joins)}"


def _days(day: str) -> str:
    return f"cast({day} - date '1970-01-01' as double)"


def exclude_rejected(con: duckdb.DuckDBPyConnection, table: TableContract) -> None:
    """``excluded_<table>``: the rows of ``reasons_<table>``, which do not count."""
    con.execute(
        f"create or replace temp table excluded_{table.table} as"
        f" select distinct {ROW}, false as is_duplicate from reasons_{table.table}"
    )


def exclude_repeated(con: duckdb.DuckDBPyConnection, table: TableContract, stage: str) -> None:
    """Of several accepted rows with one key the newest counts; adds the others to ``excluded_<table>``.

    1. Newest is the one with the latest ``updated_at``, where the table has one; then the one that comes last.
    2. A row equal to it in every column is a duplicate; any other is superseded, a reason to be kept.
    """
    key = _list(table.key)
    accepted = f"select * from {stage} where {ROW} not in (select {ROW} from excluded_{table.table})"
    # Hashes first: nearly always no key repeats, and a hash is a fraction of the memory of a key.
    con.execute(f"""
        create or replace temp table repeated as
        select hash({key}) as key_hash from ({accepted}) group by all having count(*) > 1
    """)
    repeated = con.execute("select count(*) from repeated").fetchone()
    if not repeated or not repeated[0]:
        return
    newest = f"{quoted(table.changed_at)} desc nulls last, " if table.changed_at else ""
    con.execute(f"""
        create or replace temp table losers as
        select {ROW}, _row_digest = newest_digest as is_duplicate from (
            select {ROW}, _row_digest, row_number() over ranked as position,
                first_value(_row_digest) over ranked as newest_digest
            from ({accepted}) where hash({key}) in (select key_hash from repeated)
            window ranked as (partition by {key} order by {newest}{ROW} desc)
        ) where position > 1
    """)
    con.execute(f"insert into excluded_{table.table} select {ROW}, is_duplicate from losers")
    con.execute(
        f"insert into reasons_{table.table}"
        f" select {ROW}, {literal(SUPERSEDED_IN_LOAD)} from losers where not is_duplicate"
    )


def exclude_older_than_raw(con: duckdb.DuckDBPyConnection, table: TableContract, stage: str, held: str) -> None:
    """A late file may bring a version that is older than the one in raw, by ``updated_at``: it does not count."""
    changed = table.changed_at
    if changed is None:
        return
    con.execute(f"""
        create or replace temp table losers as
        select s.{ROW} from {stage} s join {held} c on {_match(table.key, "s", "c")}
        where s.{quoted(changed)} < c.{quoted(changed)} and s._row_digest <> c._row_digest
            and s.{ROW} not in (select {ROW} from excluded_{table.table})
    """)
    con.execute(f"insert into excluded_{table.table} select {ROW}, false from losers")
    con.execute(f"insert into reasons_{table.table} select {ROW}, {literal(SUPERSEDED_IN_RAW)} from losers")


def mark_new(con: duckdb.DuckDBPyConnection, table: TableContract, stage: str, held: str) -> str:
    """``fresh_<table>``: ``_stage_row`` of accepted rows whose key raw does not hold, or holds with another digest."""
    name = f"fresh_{table.table}"
    con.execute(f"""
        create or replace temp table {name} as
        select s.{ROW} from {stage} s left join {held} c on {_match(table.key, "s", "c")}
        where (c._row_digest is null or c._row_digest <> s._row_digest)
            and s.{ROW} not in (select {ROW} from excluded_{table.table})
    """)
    return name


def mark_gone(con: duckdb.DuckDBPyConnection, table: TableContract, stage: str, held: str) -> str | None:
    """``gone_<table>``: keys in raw that the wholes (loan schedules) of this load no longer have.

    A rejected row keeps its key: what raw holds for it stands until a good row comes. None for tables without wholes.
    """
    if table.replace_by is None:
        return None
    name = f"gone_{table.table}"
    whole = quoted(table.replace_by)
    con.execute(f"""
        create or replace temp table {name} as
        select {_list(table.key, "c.")}, brought.{ROW} from {held} c
        join (
            select {whole}, max({ROW}) as {ROW} from {stage}
            where {ROW} not in (select {ROW} from excluded_{table.table}) group by {whole}
        ) brought on brought.{whole} = c.{whole}
        where not exists (select 1 from {stage} s where {_match(table.key, "s", "c")})
    """)
    return name
