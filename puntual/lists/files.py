"""CSV and XLSX that a spreadsheet cannot be tricked by, equal byte for byte for equal rows."""

from __future__ import annotations

import csv
import io
import math
import os
import re
from collections.abc import Iterable, Sequence
from datetime import date, datetime, time
from pathlib import Path
from typing import Any

_DANGEROUS = ("=", "+", "-", "@", "\t", "\r", "\n")
_PHONE = re.compile(r"\+[0-9][0-9 ]{5,19}")
# control characters that XML cannot hold
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")


def harmless(text: str) -> str:
    """Text that a spreadsheet opening a CSV does not run: one that begins like a formula gets an apostrophe before it.

    A plain international phone number is left alone, it is no formula and a gateway must be able to dial it.

    >>> harmless("=cmd|'/c calc'!A1"), harmless("+593991234567"), harmless("+593+cmd")
    ("'=cmd|'/c calc'!A1", '+593991234567', "'+593+cmd")
    """
    if text.startswith(_DANGEROUS) and not _PHONE.fullmatch(text):
        return f"'{text}"
    return text


def is_missing(value: Any) -> bool:
    """None, NaN, NaT and pandas' NA."""
    # pandas' NA is not even different from itself: its name is asked for first
    return value is None or type(value).__name__ in {"NAType", "NaTType"} or value != value


def csv_text(headings: Sequence[str], rows: Iterable[Sequence[Any]], *, separator: str, decimal: str) -> str:
    """A table as CSV with CRLF line ends: numbers with the decimal sign, nothing for a missing value."""
    out = io.StringIO(newline="")
    writer = csv.writer(out, delimiter=separator, lineterminator="\r\n")
    writer.writerow([harmless(heading) for heading in headings])
    for row in rows:
        writer.writerow([_csv_value(value, decimal) for value in row])
    return out.getvalue()


def _csv_value(value: Any, decimal: str) -> str:
    if isinstance(value, str):
        return harmless(value)
    if is_missing(value):
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return f"{value:.6f}".rstrip("0").rstrip(".").replace(".", decimal) or "0"
    if isinstance(value, date | datetime):
        return value.isoformat()
    return str(value)


def keep_private(path: Path) -> Path:
    """Make ``path`` its owner's alone before a name is written into it; an empty file where there is none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600))
    path.chmod(0o600)
    return path


def write_csv(
    path: Path, headings: Sequence[str], rows: Iterable[Sequence[Any]], *, separator: str, decimal: str
) -> Path:
    """Write a CSV in UTF-8 with a byte-order mark: spreadsheets read accents only with it.

    Lists name people: the file is its owner's alone.
    """
    text = csv_text(headings, rows, separator=separator, decimal=decimal)
    keep_private(path).write_bytes(text.encode("utf-8-sig"))
    return path


def cell_text(value: Any) -> str:
    """Text for a spreadsheet cell; without characters that no XML file may hold."""
    return "" if is_missing(value) else _CONTROL.sub("", str(value))


def number_or_none(value: Any) -> float | None:
    """A finite number, or None."""
    if is_missing(value):
        return None
    number = float(value)
    return number if math.isfinite(number) else None


def fixed_moment(day: date) -> datetime:
    """The creation time written into files of ``day``: its midnight, so that equal lists are equal files."""
    return datetime.combine(day, time())


def relative(path: Path, folder: Path) -> str:
    """``path`` within ``folder`` with forward slashes."""
    return path.relative_to(folder).as_posix() if os.sep != "/" else str(path.relative_to(folder))
