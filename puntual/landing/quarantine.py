"""Rejected rows as they were delivered: every column of the file, every reason, file and row."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import duckdb

from puntual.contracts.schema import TableContract
from puntual.landing.casting import literal, quoted
from puntual.landing.read import FILE_STEP, Staged
from puntual.landing.validate import ROW

_LINE = "_line"  # column of a line whose fields cannot be told apart


@dataclass(frozen=True)
class Kept:
    """Where the rejected rows of a table are.

    Attributes:
        path: CSV with ``_source_file``, ``_source_row``, ``_reasons`` and the delivered columns under their own names.
            Put right and placed in the landing folder, it is a file of the table like any other.
        relation: temporary table in the form of ``raw.rejected_rows``.
    """

    path: Path
    relation: str


def write_quarantine(con: duckdb.DuckDBPyConnection, table: TableContract, staged: Staged, folder: Path) -> Kept:
    """Keep the rejected rows as they were delivered: read again, as text, from those files that have any."""
    name = table.table
    relation = f"quarantined_{name}"
    con.execute(f"""
        create or replace temp table bad_rows as
        select {ROW}, cast(to_json(list(reason order by reason)) as varchar) as reasons
        from reasons_{name} group by {ROW}
    """)
    _delivered(con, staged)
    key = ", ".join(f"coalesce(cast({quoted(part)} as varchar), '')" for part in table.key)
    files = ", ".join(literal(file.name) for file in staged.files)
    con.execute(f"""
        create or replace temp table {relation} as
        select b.{ROW}, list_extract([{files}], cast(b.{ROW} // {FILE_STEP} as integer) + 1) as source_file,
            b.{ROW} % {FILE_STEP} as source_row, s.row_key, b.reasons, d.row_json
        from bad_rows b
        left join (select {ROW}, concat_ws('|', {key}) as row_key from {staged.stage}) s on s.{ROW} = b.{ROW}
        left join delivered d on d.{ROW} = b.{ROW}
        order by b.{ROW}
    """)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.csv"
    columns = list(dict.fromkeys(column for source in staged.sources for column in source.names.values()))
    if staged.malformed:
        columns.append(_LINE)
    fields = "".join(
        f", json_extract_string(row_json, {literal(_pointer(column))}) as {quoted(column)}" for column in columns
    )
    con.execute(f"""
        copy (
            select source_file as _source_file, source_row as _source_row, reasons as _reasons{fields}
            from {relation} order by {ROW}
        ) to {literal(str(path))} (format csv, header true)
    """)
    return Kept(path, relation)


def _pointer(column: str) -> str:
    return "/" + column.replace("~", "~0").replace("/", "~1")


def _delivered(con: duckdb.DuckDBPyConnection, staged: Staged) -> None:
    """``delivered``: the rejected rows as JSON with the names of the file; a malformed line is one text."""
    con.execute(f"create or replace temp table delivered ({ROW} bigint, row_json varchar)")
    for number, source in enumerate(staged.sources):
        low, high = number * FILE_STEP, (number + 1) * FILE_STEP
        body = ", ".join(f"{literal(name)}, cast({quoted(column)} as varchar)" for column, name in source.names.items())
        con.execute(f"""
            insert into delivered
            select {low} + d._source_row, cast(json_object({body}) as varchar)
            from {source.relation} d
            where d._source_row in (select {ROW} - {low} from bad_rows where {ROW} > {low} and {ROW} < {high})
        """)
    if staged.malformed:
        rows, lines = (list(part) for part in zip(*staged.malformed, strict=True))
        con.execute(
            f"insert into delivered select lines.row, cast(json_object('{_LINE}', lines.text) as varchar)"
            " from (select unnest(?) as row, unnest(?) as text) lines",
            [rows, lines],
        )
