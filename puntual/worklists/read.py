"""A filled list as it was handed back: rows of cells as people left them. Nothing here judges a value."""

from __future__ import annotations

import csv
import hashlib
import io
import unicodedata
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from puntual.errors import LandingError
from puntual.lists.files import is_missing
from puntual.lists.texts import LANGUAGES, texts

MOST_BYTES = 20_000_000
MOST_UNPACKED_BYTES = 200_000_000
MOST_ROWS = 50_000
NEEDED = ("row_id", "outcome")
_KEYS = ("customer_id", "loan_id", "channel", "as_of_date", "collector_id")
_FILLED = ("outcome", "contact_time", "promise_date", "promise_amount", "notes")
UNCOMPUTED = object()
"""A cell with a formula of which the file holds no value."""
_SEPARATORS = (";", ",", "\t")


@dataclass(frozen=True)
class FilledRow:
    """One line of a filled list.

    Attributes:
        line: its row of the sheet or file, the heading being 1.
        cells: by code of the heading what is in the cell; None where nothing is.
    """

    line: int
    cells: dict[str, Any]

    @property
    def is_filled(self) -> bool:
        """Whether anybody wrote anything into it."""
        return any(self.cells.get(name) is not None for name in _FILLED)


@dataclass(frozen=True)
class FilledList:
    """A file that came back.

    Attributes:
        sha256: of its bytes.
        list_id: what its about sheet says that it is; None for a CSV.
        digest: likewise, the digest of the list.
        headings: code of each known column -> what its heading says in the file.
    """

    path: Path
    sha256: str
    list_id: str | None
    digest: str | None
    headings: dict[str, str]
    rows: tuple[FilledRow, ...]


def read_filled(path: Path) -> FilledList:
    """The list in an .xlsx or .csv file, headings in either language, columns in any order.

    A formula counts as the value that the spreadsheet stored with it, and is never run.

    Raises:
        LandingError: the file is absent, too large, not what its name says, or lacks a column; says what to do.
    """
    if not path.is_file():
        raise LandingError(f"{path}: there is no such file. Give the path of the filled list.")
    if path.stat().st_size > MOST_BYTES:
        raise LandingError(f"{path}: is larger than {MOST_BYTES // 1_000_000} MB; no work list is. Check the file.")
    content = path.read_bytes()
    kind = path.suffix.lower()
    if kind not in {".xlsx", ".csv"}:
        raise LandingError(f"{path}: is neither .xlsx nor .csv. Save the list as one of these.")
    list_id = digest = None
    table: Iterable[Sequence[Any]]
    if kind == ".xlsx":
        table, list_id, digest = _workbook(path, content)
    else:
        table = _csv_table(path, content)
    headings, rows = _rows(path, table)
    return FilledList(path, hashlib.sha256(content).hexdigest(), list_id, digest, headings, tuple(rows))


def plain(text: object) -> str:
    """Text as it is compared: without accents, capitals and doubled spaces.

    >>> plain("  No  gestionó ")
    'no gestiono'
    """
    letters = unicodedata.normalize("NFKD", str(text))
    return " ".join("".join(one for one in letters if not unicodedata.combining(one)).casefold().split())


@cache
def _codes() -> dict[str, str]:
    """Code of a heading by its plain text in either language, and by the code itself."""
    wanted = (*_KEYS, *_FILLED, "row_id")
    said = {plain(texts()["headings"][code][language]): code for code in wanted for language in LANGUAGES}
    return said | {code: code for code in wanted}


def _rows(path: Path, table: Iterable[Sequence[Any]]) -> tuple[dict[str, str], list[FilledRow]]:
    lines = iter(table)
    header = next(lines, ())
    places: dict[str, int] = {}
    for position, heading in enumerate(header):
        code = None if heading is None else _codes().get(plain(str(heading).lstrip("'")))
        if code in places:
            raise LandingError(f"{path}: the column {heading!r} is there twice. Leave the one that was handed out.")
        if code is not None:
            places[code] = position
    missing = [" / ".join(texts()["headings"][code][one] for one in LANGUAGES) for code in NEEDED if code not in places]
    if missing:
        raise LandingError(
            f"{path}: has no column {', '.join(missing)} in its first row. Use the file that was handed out, with all "
            "its columns; the row code is the last one, hidden in a workbook."
        )
    rows = []
    for line, cells in enumerate(lines, start=2):
        if line > MOST_ROWS:
            raise LandingError(f"{path}: has more than {MOST_ROWS} rows; no work list has. Check the file.")
        named = {code: _value(cells[at]) if at < len(cells) else None for code, at in places.items()}
        if any(value is not None for value in named.values()):
            rows.append(FilledRow(line, named))
    return {code: str(header[at]) for code, at in places.items()}, rows


def _value(value: Any) -> Any:
    """A cell; None where there is nothing but blanks. A CSV's apostrophe before a formula is ours and goes."""
    if is_missing(value):
        return None
    if isinstance(value, str):
        text = value.replace("\0", "").strip()
        return text or None
    return value


def _csv_table(path: Path, content: bytes) -> Iterator[Sequence[Any]]:
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = content.decode("cp1252", errors="replace")  # what a spreadsheet saves where it was not told otherwise
    first = text.splitlines()[0] if text.strip() else ""
    if not first:
        raise LandingError(f"{path}: is empty. Use the file that was handed out.")
    separator = max(_SEPARATORS, key=lambda one: sum(plain(name) in _codes() for name in first.split(one)))
    try:
        for row in csv.reader(io.StringIO(text, newline=""), delimiter=separator):
            yield [cell[1:] if cell[:1] == "'" else cell for cell in row]
    except csv.Error as error:
        raise LandingError(
            f"{path}: cannot be read as a CSV ({error}). Open it in the spreadsheet program and save it again."
        ) from error


def _workbook(path: Path, content: bytes) -> tuple[list[Sequence[Any]], str | None, str | None]:
    import openpyxl
    from openpyxl.utils.exceptions import InvalidFileException

    try:
        with zipfile.ZipFile(io.BytesIO(content)) as parts:
            unpacked = sum(part.file_size for part in parts.infolist())
        if unpacked > MOST_UNPACKED_BYTES:
            raise LandingError(f"{path}: unpacks to {unpacked // 1_000_000} MB; no work list does. Check the file.")
        # Once for the values that the spreadsheet stored, once for the formulas that it may have stored none of.
        book, written = (
            openpyxl.load_workbook(io.BytesIO(content), read_only=True, data_only=only) for only in (True, False)
        )
        try:
            list_id, digest = _about(book)
            table: list[Sequence[Any]] = [
                [_stored(value, formula) for value, formula in zip(values, formulas, strict=False)]
                for values, formulas in zip(_cells(_list_sheet(book)), _cells(_list_sheet(written)), strict=True)
            ]
        finally:
            book.close()
            written.close()
    except (zipfile.BadZipFile, InvalidFileException, KeyError, ValueError, OSError, SyntaxError) as error:
        raise LandingError(
            f"{path}: cannot be read as a workbook ({error}). Open it in the spreadsheet program and save it as .xlsx."
        ) from error
    return table, list_id, digest


def _cells(sheet: Any) -> Iterator[Sequence[Any]]:
    """The rows of cells, one beyond the most that a list may have."""
    return iter(()) if sheet is None else sheet.iter_rows(max_row=MOST_ROWS + 1)


def _stored(cell: Any, formula: Any) -> Any:
    return UNCOMPUTED if formula.data_type == "f" and cell.value is None else cell.value


def _names(group: str, code: str) -> set[str]:
    return {plain(texts()[group][code][language]) for language in LANGUAGES}


def _list_sheet(book: Any) -> Any:
    """The sheet of the list by its name; the first where somebody renamed it."""
    named = [sheet for sheet in book.worksheets if plain(sheet.title) in _names("sheets", "list")]
    return (named or book.worksheets or [None])[0]


def _about(book: Any) -> tuple[str | None, str | None]:
    """List and digest as the about sheet says them."""
    said: dict[str, str] = {}
    for sheet in book.worksheets:
        if plain(sheet.title) not in _names("sheets", "about"):
            continue
        for row in sheet.iter_rows(max_row=50, max_col=2, values_only=True):
            for code in ("list_id", "digest"):
                if (
                    len(row) == 2
                    and row[0] is not None
                    and row[1] is not None
                    and plain(row[0]) in _names("about", code)
                ):
                    said[code] = str(row[1]).strip()
    return said.get("list_id"), said.get("digest")
