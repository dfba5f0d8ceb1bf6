"""Files to typed rows: one temporary DuckDB table ``stage_<table>`` for all files of a table.

A row of the stage is known by ``_stage_row``: the number of its file times :data:`FILE_STEP` plus its row in the file,
counted from 1 without the header. So the order of the numbers is the order in which rows count.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import duckdb

from puntual.contracts.render import UNREADABLE
from puntual.contracts.schema import NUMBER_TYPES, TableContract
from puntual.landing import casting
from puntual.landing.casting import literal, quoted
from puntual.landing.files import LandedFile, UnreadableFileError, open_bytes, plain_name, rewritten

FILE_STEP = 10_000_000_000

# Lines with more or fewer fields than the header cannot become typed rows; they are rejected as they are.
MALFORMED = "malformed_line"
_MALFORMED_LIMIT = 10_000


@dataclass
class Staged:
    """What reading the files of one table gave.

    Attributes:
        files: in the order in which they count; the position is the number of the file.
        rows: rows per file, malformed ones included.
        missing_columns: optional contract columns that no file has.
        notes: what is worth telling about the files, one sentence each.
        malformed: lines whose number of fields is not the header's: (_stage_row, text).
    """

    table: TableContract
    files: tuple[LandedFile, ...]
    rows: list[int] = field(default_factory=list)
    missing_columns: tuple[str, ...] = ()
    extra_columns: tuple[str, ...] = ()
    notes: list[str] = field(default_factory=list)
    malformed: list[tuple[int, str]] = field(default_factory=list)
    sources: list[Source] = field(default_factory=list)

    @property
    def stage(self) -> str:
        """Name of the temporary table with the typed rows."""
        return f"stage_{self.table.table}"


@dataclass(frozen=True)
class Source:
    """How to select the delivered columns of one file, as they came, beside ``_source_row``.

    Attributes:
        relation: SQL of a relation with ``_source_row`` and the columns ``names``.
        names: delivered column names as they stand in ``relation``, to the names in the file.
        types: DuckDB type of each.
        separator: of a CSV.
    """

    relation: str
    names: dict[str, str]
    types: dict[str, str]
    separator: str | None = None


def stage_files(
    con: duckdb.DuckDBPyConnection,
    probe: duckdb.DuckDBPyConnection,
    table: TableContract,
    files: Sequence[LandedFile],
    *,
    timezone: str,
    scratch: Path,
) -> Staged:
    """Read ``files`` into ``stage_<table>``: typed columns, ``_stage_row``, ``_row_digest`` and ``_unreadable``.

    The digest is the MD5 of the names and values of all columns that are not NULL, so a column that is added to the
    contract later does not make old rows look new.

    Args:
        con: where the stage is made, possibly in a transaction, which an error there ends.
        probe: another connection, in which files are looked at first.
        table: the contract.
        files: in the order in which they count.
        timezone: of timestamps without a zone.
        scratch: folder for rewritten copies.

    Raises:
        UnreadableFileError: a file is damaged, cut off, lacks a required column, or changed while it was read.
        BrokenTransactionError: the same, found so late that the transaction of ``con`` is lost.
    """
    staged = Staged(table, tuple(files))
    con.execute(f"create or replace temp table {staged.stage} ({_stage_columns(table)})")
    absent = set(table.column_names)
    extra: set[str] = set()
    for number, file in enumerate(files):
        with _told_by_name(file, UnreadableFileError):
            look, malformed, notes = _open(probe, file, scratch)
            source = _with_gaps(look, con, file, malformed)
            matched = _matched(source, table, file)
            decimal_comma = _decimal_comma(probe, look, matched, table)
        with _told_by_name(file, BrokenTransactionError):
            con.execute(_insert(staged.stage, table, source, matched, number, timezone, decimal_comma))
        absent -= set(matched)
        extra |= {name for key, name in source.names.items() if key not in matched.values()}
        if decimal_comma:
            notes.append("decimal commas")
        if notes:
            staged.notes.append(f"{file.name}: {', '.join(notes)}")
        staged.malformed += [(number * FILE_STEP + row, text) for row, text in malformed]
        staged.sources.append(source)
        low, high = number * FILE_STEP, (number + 1) * FILE_STEP
        count = con.execute(
            f"select count(*) from {staged.stage} where _stage_row > {low} and _stage_row < {high}"
        ).fetchone()
        staged.rows.append((count[0] if count else 0) + len(malformed))
        if file.has_changed():
            raise UnreadableFileError(
                f"{file.name}: the file changed while it was read. Run again when it is complete."
            )
    staged.missing_columns = tuple(name for name in table.column_names if name in absent)
    staged.extra_columns = tuple(sorted(extra))
    return staged


def _stage_columns(table: TableContract) -> str:
    columns = {column.name: casting.SQL_TYPES[column.type] for column in table.columns}
    columns |= {"_stage_row": "bigint", UNREADABLE: "text", "_row_digest": "text"}
    return ", ".join(f"{quoted(name)} {kind}" for name, kind in columns.items())


class BrokenTransactionError(UnreadableFileError):
    """A file turned out to be damaged in the middle of a transaction, in which nothing more can be done."""


@contextmanager
def _told_by_name(file: LandedFile, kind: type[UnreadableFileError]) -> Iterator[None]:
    try:
        yield
    except (duckdb.Error, UnicodeError) as error:
        if isinstance(error, duckdb.OutOfMemoryException):
            raise
        cause = str(error).strip().split("\n", maxsplit=1)[0]
        raise kind(
            f"{file.name}: the file is damaged or cut off and cannot be read ({cause}). Export or transfer it again."
        ) from error


def _open(
    probe: duckdb.DuckDBPyConnection, file: LandedFile, scratch: Path
) -> tuple[Source, list[tuple[int, str]], list[str]]:
    if file.csv is None:
        path_literal = literal(str(file.path))
        scan = f"read_parquet({path_literal}, file_row_number = true)"
        relation = f"(select *, file_row_number + 1 as _source_row from {scan})"
        described = probe.execute(f"describe select * from read_parquet({path_literal})").fetchall()
        return Source(relation, {row[0]: row[0] for row in described}, {row[0]: row[1] for row in described}), [], []
    notes = []
    path = file.path
    is_rewritten = file.csv.encoding in ("cp1252", "utf-16") or file.csv.has_nul
    if is_rewritten:
        path = rewritten(file, scratch)
    if file.csv.encoding == "cp1252":
        notes.append("Latin-1 text")
    elif file.csv.encoding != "utf-8":
        notes.append(f"{file.csv.encoding} text")
    if file.csv.separator != ",":
        name = {"\t": "tab"}.get(file.csv.separator, file.csv.separator)
        notes.append(f"separated by '{name}'")
    try:
        rejects = _scan_rejects(probe, path, file)
    except duckdb.InvalidInputException:
        # Line ends of several kinds in one file; a copy with one kind is read instead.
        if is_rewritten:
            raise
        path = rewritten(file, scratch)
        notes.append("line ends of several kinds")
        rejects = _scan_rejects(probe, path, file)
    return _csv_source(path, file), _malformed(rejects, file), notes


def _read_csv(path: Path, file: LandedFile, options: str) -> str:
    assert file.csv is not None
    columns = ", ".join(f"'c{position}': 'VARCHAR'" for position in range(len(file.csv.header)))
    return (
        f"read_csv({literal(str(path))}, auto_detect = false, header = true, delim = {literal(file.csv.separator)},"
        f" quote = '\"', escape = '\"', nullstr = '', columns = {{{columns}}}, {options})"
    )


def _scan_rejects(probe: duckdb.DuckDBPyConnection, path: Path, file: LandedFile) -> list[tuple[Any, ...]]:
    """Line (from 1, the header's), kind and text of every line that does not fit the header; one pass, nothing kept."""
    tables = f"rejects_{file.sha256[:16]}_{file.table}"
    options = (
        f"store_rejects = true, rejects_limit = {_MALFORMED_LIMIT + 1},"
        f" rejects_table = '{tables}', rejects_scan = '{tables}_scan'"
    )
    probe.execute(f"select count(c0) from {_read_csv(path, file, options)}").fetchall()
    found = probe.execute(f"select line, error_type, csv_line from {tables} order by line, error_type").fetchall()
    probe.execute(f"drop table {tables}")
    probe.execute(f"drop table {tables}_scan")
    return found


def _malformed(rejects: list[tuple[Any, ...]], file: LandedFile) -> list[tuple[int, str]]:
    """Row and text of malformed lines, each once.

    Raises:
        UnreadableFileError: the damage is not that of a line but of the file.
    """
    assert file.csv is not None
    if len(rejects) > _MALFORMED_LIMIT:
        raise UnreadableFileError(
            f"{file.name}: more than {_MALFORMED_LIMIT:,} lines, the first of them row {rejects[0][0] - 1}, do not have"
            f" the {len(file.csv.header)} fields of the header. Quote texts that contain '{file.csv.separator}'."
        )
    found: dict[int, str] = {}
    for line, kind, text in rejects:
        text = (text or "").strip("\r\n")
        if kind == "UNQUOTED VALUE" and "\n" in text:
            raise UnreadableFileError(
                f"{file.name}: a quote that opens in row {line - 1} is never closed. Export the file again."
            )
        found[line - 1] = text
    if found and not file.csv.ends_with_newline:
        last = found[max(found)]
        with_tail = last.encode(file.csv.encoding, errors="replace")[-200:]
        if _tail(file).rstrip(b"\r\n").endswith(with_tail):
            raise UnreadableFileError(
                f"{file.name}: the file is cut off in row {max(found)}, in the middle of a line. Transfer it again."
            )
    return sorted(found.items())


def _tail(file: LandedFile) -> bytes:
    tail = b""
    with open_bytes(file.path) as stream:
        while block := stream.read(1 << 20):
            tail = (tail + block)[-4096:]
    return tail


def _csv_source(path: Path, file: LandedFile) -> Source:
    assert file.csv is not None
    keys = {f"c{position}": name for position, name in enumerate(file.csv.header)}
    scan = f"select row_number() over () as _source_row, * from {_read_csv(path, file, 'ignore_errors = true')}"
    return Source(f"({scan})", keys, dict.fromkeys(keys, "VARCHAR"), file.csv.separator)


def _with_gaps(
    source: Source, con: duckdb.DuckDBPyConnection, file: LandedFile, malformed: list[tuple[int, str]]
) -> Source:
    """The source with row numbers of the file: lines that are left out shift the count of the rows after them."""
    if not malformed:
        return source
    gaps = f"gaps_{file.sha256[:16]}_{file.table}"
    con.execute(f"create or replace temp table {gaps} (first_read_row bigint, skipped bigint)")
    # After the k-th malformed line, at row n, the row that is read as number n - k + 1 is further down by k.
    values = ", ".join(f"({number - position}, {position + 1})" for position, (number, _) in enumerate(malformed))
    con.execute(
        f"insert into {gaps} select first_read_row, max(skipped)"
        f" from (values {values}) as v(first_read_row, skipped) group by first_read_row"
    )
    columns = ", ".join(source.names)
    relation = (
        f"(select r._source_row + coalesce(g.skipped, 0) as _source_row, {columns}"
        f" from {source.relation} r asof left join {gaps} g on r._source_row >= g.first_read_row)"
    )
    return replace(source, relation=relation)


def _matched(source: Source, table: TableContract, file: LandedFile) -> dict[str, str]:
    """Contract column to delivered column."""
    matched: dict[str, str] = {}
    for key, name in source.names.items():
        plain = plain_name(name)
        if plain not in table.column_names:
            continue
        if plain in matched:
            raise UnreadableFileError(f"{file.name}: has the column {plain} twice. Leave one of them out.")
        matched[plain] = key
    missing = [column.name for column in table.columns if column.required and column.name not in matched]
    if missing:
        delivered = ", ".join(list(source.names.values())[:30])
        raise UnreadableFileError(
            f"{file.name}: lacks the required column{'s' if len(missing) > 1 else ''} {', '.join(missing)}"
            f" (it has: {delivered}). Add them to the export; docs/data_dictionary.md says what they hold."
        )
    return matched


def _decimal_comma(
    probe: duckdb.DuckDBPyConnection, source: Source, matched: dict[str, str], table: TableContract
) -> bool:
    """Whether the numbers of a file have decimal commas; decided once for the file, by every value in it."""
    columns = [
        matched[column.name]
        for column in table.columns
        if column.name in matched and column.type in NUMBER_TYPES and source.types[matched[column.name]] == "VARCHAR"
    ]
    if not columns:
        return False
    names = [quoted(name) for name in columns]
    comma, point, any_comma = probe.execute(
        f"select {casting.decimal_marks(names)} from {source.relation}"
    ).fetchone() or (False, False, False)
    # A decimal point seen anywhere speaks for the contract's own form; values that then do not fit are rejected.
    # "1,234" alone says nothing; a file that avoids commas as separators most likely has decimal commas.
    return bool(comma and not point) or bool(any_comma and not comma and not point and source.separator != ",")


def _insert(
    stage: str,
    table: TableContract,
    source: Source,
    matched: dict[str, str],
    number: int,
    timezone: str,
    decimal_comma: bool,
) -> str:
    """The statement that turns one file into typed rows, in three steps: delivered, typed, judged."""
    delivered, typed, failing = [], [], []
    for column in table.columns:
        name = quoted(column.name)
        if column.name not in matched:
            typed.append(f"cast(null as {casting.SQL_TYPES[column.type]}) as {name}")
            continue
        kind = source.types[matched[column.name]]
        held = quoted(f"_s_{column.name}")
        delivered.append(f"{casting.source(quoted(matched[column.name]), kind)} as {held}")
        expression = casting.typed(
            held, kind, column.type, timezone=timezone, decimal_comma=decimal_comma and kind == "VARCHAR"
        )
        typed.append(f"{expression} as {name}")
        if casting.can_fail(kind, column.type):
            typed.append(f"{held} is not null as {quoted(f'_g_{column.name}')}")
            failing.append(
                f"case when {name} is null and {quoted(f'_g_{column.name}')} then {literal(column.name)} end"
            )
    unreadable = f"nullif(concat_ws(',', {', '.join(failing)}), '')" if failing else "cast(null as varchar)"
    names = [quoted(name) for name in table.column_names]
    parts = ", ".join(f"{literal(name + '=')} || {quoted(name)}" for name in table.column_names)
    return f"""
        insert into {stage}
        select {", ".join(names)}, {number * FILE_STEP} + _source_row, {unreadable}, md5(concat_ws(chr(31), {parts}))
        from (
            select _source_row, {", ".join(typed)}
            from (select _source_row, {", ".join(delivered)} from {source.relation})
        )
    """
