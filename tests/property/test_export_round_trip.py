"""What an export writes reads back equal, whatever the rows hold."""

# ruff: noqa: DTZ001 - moments of the warehouse are UTC without a zone
from __future__ import annotations

import re
import tempfile
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import given, settings
from hypothesis import strategies as st

from puntual.exports.export import Request, export
from tests.export_snapshots import csv_rows, given_back, publish, xlsx_rows

texts = st.one_of(
    st.none(),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=12),
    st.text("=+-@'\"\t\r\n ;,.0a\u00a0\u200b＝", max_size=6),
)
rows = st.tuples(
    texts,
    st.one_of(st.none(), st.integers(-(2**63), 2**63 - 1)),
    st.one_of(st.none(), st.decimals(-(10**12), 10**12, places=2)),
    st.one_of(st.none(), st.floats(allow_nan=False, allow_infinity=False)),
    st.one_of(st.none(), st.booleans()),
    st.one_of(st.none(), st.dates(date(1000, 1, 1), date(9999, 12, 31))),
    st.one_of(st.none(), st.datetimes(datetime(1901, 1, 1), datetime(2199, 1, 1))),
)
NAMES = ("name", "count", "amount", "figure", "is_true", "day", "moment")
TYPES = (pa.string(), pa.int64(), pa.decimal128(18, 2), pa.float64(), pa.bool_(), pa.date32(), pa.timestamp("us"))
NOT_IN_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")


def written(home: Path, drawn: list[tuple], request: Request) -> Path:
    columns = list(zip(*drawn, strict=True)) if drawn else [[] for _ in NAMES]
    arrays = {name: pa.array(column, kind) for name, column, kind in zip(NAMES, columns, TYPES, strict=True)}
    keys = pa.array([f"{at:04d}" for at in range(len(drawn))], pa.string())
    published = publish(home, {"dim_branches": pa.table({"branch_id": keys, **arrays})})
    return export(published, request, home / f"out.{request.format}").path


@settings(max_examples=40, deadline=None)
@given(st.lists(rows, max_size=8), st.sampled_from([(",", "."), (";", "."), (";", ","), (",", ",")]))
def test_csv_reads_back_equal(drawn, signs):
    delimiter, decimal = signs
    with tempfile.TemporaryDirectory() as folder:
        file = written(Path(folder), drawn, Request("branches", "csv", delimiter=delimiter, decimal=decimal))
        header, *cells = csv_rows(file, delimiter)
    assert header == ["branch_id", *NAMES]
    assert len(cells) == len(drawn)
    for (_, name, count, amount, figure, truth, day, moment), row in zip(cells, drawn, strict=True):
        assert given_back(name) == (row[0] or "").replace("\x00", "")
        assert count == ("" if row[1] is None else str(row[1]))
        assert (None if amount == "" else Decimal(amount.replace(",", "."))) == row[2]
        assert (None if figure == "" else float(figure.replace(",", "."))) == row[3]
        assert truth == {None: "", True: "true", False: "false"}[row[4]]
        assert day == ("" if row[5] is None else row[5].isoformat())
        assert (None if moment == "" else datetime.fromisoformat(moment)) == row[6]


@settings(max_examples=25, deadline=None)
@given(st.lists(rows, max_size=6))
def test_xlsx_reads_back_equal(drawn):
    with tempfile.TemporaryDirectory() as folder:
        header, *cells = xlsx_rows(written(Path(folder), drawn, Request("branches", "xlsx", language="en")))
    assert header[0] == "Branch"
    assert len(cells) == len(drawn)
    for (_, name, count, amount, figure, truth, day, moment), row in zip(cells, drawn, strict=True):
        # XML readers turn CR LF and CR into LF; an empty text is an empty cell.
        kept = NOT_IN_XML.sub("", row[0] or "")
        assert plain_line_ends(name or "") == plain_line_ends(kept)
        assert count == row[1] or count == str(row[1])  # more digits than a spreadsheet keeps: text
        assert amount == (None if row[2] is None else float(row[2]))
        if row[3] is not None and abs(row[3]) >= 1e307:  # larger than a spreadsheet's numbers: text
            figure = float(figure)
        assert figure == row[3] or abs(figure - row[3]) <= abs(row[3]) * 1e-15
        assert truth is row[4]
        if row[5] is None or row[5] < date(1900, 3, 1):
            assert day == (None if row[5] is None else row[5].isoformat())
        else:
            assert day.date() == row[5]
        assert moment is row[6] if row[6] is None else abs(moment - row[6]) < timedelta(milliseconds=2)


@settings(max_examples=25, deadline=None)
@given(st.lists(rows, max_size=6))
def test_parquet_reads_back_equal(drawn):
    with tempfile.TemporaryDirectory() as folder:
        table = pq.read_table(written(Path(folder), drawn, Request("branches", "parquet")))
    assert [tuple(row.values())[1:] for row in table.to_pylist()] == [tuple(row) for row in drawn]


def plain_line_ends(text: str) -> str:
    """How openpyxl gives a text that a spreadsheet shows: escapes of carriage returns undone."""
    return text.replace("_x000D_", "\r").replace("\r\n", "\n").replace("\r", "\n")
