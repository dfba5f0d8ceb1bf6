"""Batches of rows as CSV, XLSX or Parquet, each written as it comes.

What a spreadsheet must not be tricked by is decided here. Text stays text: in a workbook as a string cell, in CSV with
an apostrophe before whatever a spreadsheet would run. Numbers stay numbers, the negative ones too. Identifiers are
text, and whole numbers with more digits than a spreadsheet keeps (15) become text rather than another number.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from datetime import date, datetime, time, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Protocol

import pyarrow as pa
import pyarrow.parquet
import xlsxwriter
from xlsxwriter.exceptions import XlsxFileError

from puntual.errors import ExportError
from puntual.exports.offers import Language, heading
from puntual.exports.source import Column, quoted
from puntual.snapshot import Snapshot

SHEET_ROWS = 1_048_575  # what a sheet holds below its header
_CELL_CHARACTERS = 32_767
_EXACT_INTEGER = 10**15
_LARGEST_NUMBER = 1e307
_WIDTH = {"text": 16, "integer": 12, "decimal": 14, "double": 13, "boolean": 10, "date": 12, "timestamp": 19}
_SAMPLED_ROWS = 200

# Spaces, control and zero-width characters that a spreadsheet may skip, then a sign that begins a formula, also in the
# wide forms of East Asian keyboards; or a tab, CR or LF at the start. Apostrophes before it count as part of the sign,
# so that taking one away always gives back the text.
DANGEROUS = r"^'*([\s\x00-\x1f\x{A0}\x{FEFF}\x{200B}-\x{200F}]*[=+\-@\x{FF1D}\x{FF0B}\x{FF0D}\x{FF20}]|[\t\r\n])"
_NOT_IN_XML = r"[\x00-\x08\x0b\x0c\x0e-\x1f\x{FFFE}\x{FFFF}]"


class Writer(Protocol):
    """A format: the expressions that it wants of DuckDB, and the file that it makes of their batches."""

    def expressions(self, columns: Sequence[Column]) -> list[str]:
        """What is selected."""

    def write(self, path: Path, columns: Sequence[Column], batches: Iterable[pa.RecordBatch]) -> int:
        """Write the file; returns its rows."""


class CsvWriter:
    """UTF-8 with a byte-order mark, without which spreadsheets break accents; CRLF line ends; nothing for no value.

    The cells are made by DuckDB, a whole column at a time.
    """

    def __init__(self, *, delimiter: str, decimal: str, language: Language | None) -> None:
        """``language`` writes headings for people; None leaves the columns' names, for programs."""
        self._delimiter, self._decimal, self._language = delimiter, decimal, language

    def expressions(self, columns: Sequence[Column]) -> list[str]:
        """One: the finished line."""
        nothing = "''" if len(columns) > 1 else "'\"\"'"  # a line with nothing at all is skipped by readers
        cells = [f"coalesce({self._cell(column)}, {nothing})" for column in columns]
        return [f" || '{self._delimiter}' || ".join(cells) + " as line"]

    def write(self, path: Path, columns: Sequence[Column], batches: Iterable[pa.RecordBatch]) -> int:
        """Write the lines as they come."""
        rows = 0
        with path.open("wb") as file:
            file.write(b"\xef\xbb\xbf")
            file.write((self._delimiter.join(self._header(column) for column in columns) + "\r\n").encode())
            for batch in batches:
                lines = batch.column(0).to_pylist()
                if lines:
                    file.write(("\r\n".join(lines) + "\r\n").encode())
                    rows += len(lines)
        return rows

    def _header(self, column: Column) -> str:
        text = heading(column.name, self._language) if self._language else column.name
        text = text.replace('"', '""')
        return f'"{text}"' if any(sign in text for sign in f'{self._delimiter}"\r\n') else text

    def _cell(self, column: Column) -> str:
        value = column.value
        if column.kind == "text":
            text = f"replace({value}, chr(0), '')"
            safe = f"case when regexp_matches({text}, '{_sql(DANGEROUS)}') then '''' || {text} else {text} end"
            must_quote = f"regexp_matches({text}, '[{self._delimiter}\"\\r\\n]|^\\s|\\s$|^$')"
            return f"case when {must_quote} then '\"' || replace({safe}, '\"', '\"\"') || '\"' else {safe} end"
        if column.kind in {"decimal", "double"}:
            number = f"cast({value} as varchar)"
            if column.kind == "double":
                number = f"case when isnan({value}) then null else {number} end"
            number = f"replace({number}, '.', ',')" if self._decimal == "," else number
            return f"'\"' || {number} || '\"'" if self._decimal == self._delimiter else number
        return f"cast({value} as varchar)"


class ParquetWriter:
    """Parquet with the published types, and in its metadata what it is."""

    def __init__(self, facts: dict[str, str]) -> None:
        self._facts = {f"puntual.{name}": value for name, value in facts.items()}

    def expressions(self, columns: Sequence[Column]) -> list[str]:
        """The columns themselves."""
        return [f"{column.value} as {quoted(column.name)}" for column in columns]

    def write(self, path: Path, columns: Sequence[Column], batches: Iterable[pa.RecordBatch]) -> int:  # noqa: ARG002
        """Write one row group after another."""
        rows = 0
        waiting: list[pa.RecordBatch] = []
        first = next(iter_batches := iter(batches))
        with pyarrow.parquet.ParquetWriter(path, first.schema.with_metadata(self._facts), compression="zstd") as writer:
            for batch in iter_batches:
                waiting.append(batch)
                rows += batch.num_rows
                if sum(one.num_rows for one in waiting) >= _GROUP_ROWS:
                    self._write(writer, waiting)
                    waiting = []
            self._write(writer, waiting or [first])
        return rows

    def _write(self, writer: pyarrow.parquet.ParquetWriter, batches: Sequence[pa.RecordBatch]) -> None:
        writer.write_table(pa.Table.from_batches(batches).replace_schema_metadata(self._facts))


_GROUP_ROWS = 100_000


class XlsxWriter:
    """A workbook to read: headings in words, frozen header, filter, widths, formats; what a sheet cannot hold on more.

    A last sheet says what it is, of which day and with which condition, and the name of each column in the tables.
    """

    def __init__(
        self, *, title: str, facts: Sequence[tuple[str, str]], language: Language, created: datetime,
        sheet_rows: int = SHEET_ROWS,
    ) -> None:  # fmt: skip
        self._title, self._facts, self._language, self._created = title, facts, language, created
        self._sheet_rows = sheet_rows

    def expressions(self, columns: Sequence[Column]) -> list[str]:
        """Text without what XML cannot hold; amounts as doubles; days and moments as a spreadsheet counts them."""
        return [f"{self._expression(column)} as {quoted(column.name)}" for column in columns]

    def write(self, path: Path, columns: Sequence[Column], batches: Iterable[pa.RecordBatch]) -> int:
        """Write row after row; only the row at hand is in memory."""
        with TemporaryDirectory(prefix=".export-", dir=path.parent) as scratch:
            book = xlsxwriter.Workbook(
                str(path),
                {
                    "constant_memory": True,
                    "tmpdir": scratch,
                    "strings_to_formulas": False,
                    "strings_to_urls": False,
                    "strings_to_numbers": False,
                },
            )
            book.use_zip64()
            book.set_properties({"title": self._title, "created": self._created})
            try:
                rows = self._fill(book, columns, batches)
                self._about(book, columns, rows)
                book.close()
            except XlsxFileError as error:
                raise OSError(f"the workbook cannot be finished ({error})") from error
            finally:
                book.fileclosed = True  # after a failure nobody wants the half workbook, not even its destructor
        return rows

    def _fill(self, book: Any, columns: Sequence[Column], batches: Iterable[pa.RecordBatch]) -> int:
        header = book.add_format({"bold": True, "bg_color": "#E7F0F2", "border": 1, "border_color": "#B9C4C9",
                                  "text_wrap": True, "valign": "top"})  # fmt: skip
        formats = [_format(book, column) for column in columns]
        sheet, at, sheets, rows = None, 0, 0, 0
        widths: list[float] = []
        for batch in batches:
            values = [batch.column(place).to_pylist() for place in range(len(columns))]
            widths = _widths(columns, values, self._language) if rows + at == 0 else widths
            writers: list[Callable[[int, Any], int]] = []
            for row in zip(*values, strict=True):
                if sheet is None or at == self._sheet_rows:
                    self._finish(sheet, at, columns)
                    sheets += 1
                    at = 0
                    sheet = self._sheet(book, sheets, columns, widths, header)
                    writers = []
                writers = writers or [_cell_writer(sheet, place, *pair) for place, pair in
                                      enumerate(zip(columns, formats, strict=True))]  # fmt: skip
                at += 1
                for write, value in zip(writers, row, strict=True):
                    if value is not None and write(at, value) == -2:
                        raise ExportError(
                            f"Row {rows + at} has a text longer than a spreadsheet's cell holds ({_CELL_CHARACTERS:,} "
                            "characters). Export it as csv or parquet."
                        )
                if at == self._sheet_rows:
                    rows += at
                    self._finish(sheet, at, columns)
                    sheet, at = None, 0
        if sheet is None and rows == 0:
            sheet = self._sheet(book, 1, columns, _widths(columns, [[] for _ in columns], self._language), header)
        self._finish(sheet, at, columns)
        return rows + at

    def _sheet(self, book: Any, number: int, columns: Sequence[Column], widths: Sequence[float], header: Any) -> Any:
        sheet = book.add_worksheet(self._title[:24] + (f" ({number})" if number > 1 else ""))
        sheet.freeze_panes(1, 0)
        for place, width in enumerate(widths):
            sheet.set_column(place, place, width)
        sheet.set_row(0, 32)
        for place, column in enumerate(columns):
            sheet.write_string(0, place, heading(column.name, self._language), header)
        return sheet

    @staticmethod
    def _finish(sheet: Any, rows: int, columns: Sequence[Column]) -> None:
        if sheet is not None:
            sheet.autofilter(0, 0, rows, len(columns) - 1)

    def _about(self, book: Any, columns: Sequence[Column], rows: int) -> None:
        words = _ABOUT[self._language]
        bold = book.add_format({"bold": True})
        sheet = book.add_worksheet(words["sheet"])
        sheet.set_column(0, 0, 28)
        sheet.set_column(1, 1, 90)
        lines = [*self._facts, (words["rows"], f"{rows}"), ("", ""), (words["heading"], words["column"])]
        lines += [(heading(column.name, self._language), column.name) for column in columns]
        for at, (name, text) in enumerate(lines):
            sheet.write_string(at, 0, name, bold)
            sheet.write_string(at, 1, text[:_CELL_CHARACTERS])

    @staticmethod
    def _expression(column: Column) -> str:
        value = column.value
        if column.kind == "text":
            return f"regexp_replace({value}, '{_sql(_NOT_IN_XML)}', '', 'g')"
        if column.kind == "integer" and column.name.endswith("_key"):
            return f"cast({value} as varchar)"
        if column.kind == "integer":
            return value
        if column.kind in {"decimal", "double"}:
            return f"cast({value} as double)"
        # A spreadsheet counts days from 1899-12-30 and is right from 1900-03-01 on; earlier ones become text.
        if column.kind == "date":
            return f"cast({value} - date '1899-12-30' as double)"
        if column.kind == "timestamp":
            return f"epoch_us({value}) / 86400000000.0 + 25569"
        return value


_FIRST_GOOD_DAY = 61.0
_ABOUT: dict[Language, dict[str, str]] = {
    "es": {"sheet": "Acerca de", "rows": "Filas", "heading": "Encabezado", "column": "Columna en las tablas"},
    "en": {"sheet": "About", "rows": "Rows", "heading": "Heading", "column": "Column in the tables"},
}


def _cell_writer(sheet: Any, place: int, column: Column, form: Any) -> Callable[[int, Any], int]:
    """Writes a value that is not None into the column's cell of a row; -2 when the text is too long."""
    text, number, truth = sheet.write_string, sheet.write_number, sheet.write_boolean
    if column.kind == "text" or (column.kind == "integer" and column.name.endswith("_key")):
        return lambda row, value: int(text(row, place, value))
    if column.kind == "boolean":
        return lambda row, value: int(truth(row, place, value))
    if column.kind == "integer":
        return lambda row, value: int(
            number(row, place, value, form)
            if -_EXACT_INTEGER < value < _EXACT_INTEGER
            else text(row, place, str(value))
        )
    if column.kind in {"date", "timestamp"}:
        return lambda row, value: int(
            number(row, place, value, form) if value >= _FIRST_GOOD_DAY else text(row, place, _early(value, column))
        )

    def figure(row: int, value: float) -> int:
        if abs(value) < _LARGEST_NUMBER:
            return int(number(row, place, value, form))
        return 0 if math.isnan(value) else int(text(row, place, str(value)))

    return figure


def _early(serial: float, column: Column) -> str:
    """A day before a spreadsheet's calendar is right, in ISO form."""
    exact = datetime.combine(date(1899, 12, 30), time()) + timedelta(days=serial)
    return exact.date().isoformat() if column.kind == "date" else exact.isoformat(sep=" ", timespec="seconds")


def _format(book: Any, column: Column) -> Any:
    """How a column's numbers are shown."""
    name = column.name
    if column.kind == "date":
        pattern = "yyyy-mm-dd"
    elif column.kind == "timestamp":
        pattern = "yyyy-mm-dd hh:mm:ss"
    elif name.endswith(("_rate", "_share", "_probability")) or name == "propensity":
        pattern = "0.00%"
    elif name.endswith("_amount") or column.kind == "decimal":
        pattern = "#,##0." + "0" * (column.scale or 2)
    elif column.kind == "integer":
        pattern = "#,##0"
    else:
        return None
    return book.add_format({"num_format": pattern})


def _widths(columns: Sequence[Column], values: Sequence[Sequence[Any]], language: Language) -> list[float]:
    """Widths that show the headings in two lines and the first rows whole, within reason."""
    widths = []
    for column, first in zip(columns, values, strict=True):
        words = heading(column.name, language)
        least = max([*(len(word) for word in words.split()), len(words) / 2]) + 3
        longest = max((len(str(value)) for value in first[:_SAMPLED_ROWS]), default=0) if column.kind == "text" else 0
        widths.append(float(min(max(least, _WIDTH[column.kind] if column.kind != "text" else longest + 2, 8), 60)))
    return widths


def about(snapshot: Snapshot, description: str, condition: str | None, language: Language) -> list[tuple[str, str]]:
    """What a workbook says of itself: the same for the same snapshot and condition, whenever it is made."""
    words = {
        "es": ("Contenido", "Institución", "Datos al", "Publicación", "Corrida", "Condición", "todas las filas"),
        "en": ("Content", "Institution", "Data as of", "Publication", "Run", "Condition", "all rows"),
    }[language]
    institution = snapshot.manifest.get("institution", {}).get("name", "")
    texts = (
        description, str(institution), snapshot.as_of_date.isoformat(), snapshot.folder.name,
        str(snapshot.manifest.get("run_id", "")), condition or words[-1],
    )  # fmt: skip
    return list(zip(words[:-1], texts, strict=True))


def midnight(snapshot: Snapshot) -> datetime:
    """The moment that files of a snapshot carry, so that equal exports are equal files."""
    return datetime.combine(snapshot.as_of_date, time())


def _sql(pattern: str) -> str:
    return pattern.replace("'", "''")
