"""An export: one offer of one snapshot into one file, whole or not at all, and a line about it in the home's log."""

from __future__ import annotations

import csv
import io
import os
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Literal, cast

from puntual.errors import ExportError, UsageError
from puntual.exports.offers import LANGUAGES, Language, Offer, offer
from puntual.exports.source import opened
from puntual.exports.writers import CsvWriter, ParquetWriter, Writer, XlsxWriter, about, midnight
from puntual.lists.files import harmless, keep_private
from puntual.publish import sha256_of
from puntual.snapshot import Snapshot

Format = Literal["xlsx", "csv", "parquet"]
FORMATS: tuple[Format, ...] = ("xlsx", "csv", "parquet")
LOG = "log.csv"
LOG_COLUMNS = (
    "exported_at", "what", "format", "as_of_date", "snapshot", "columns", "where", "rows", "sha256", "file",
)  # fmt: skip


@dataclass(frozen=True)
class Request:
    """What is asked for.

    Attributes:
        what: an offer.
        format: of the file.
        where: a condition on its columns; all rows without one.
        columns: which, in which order; those that the offer shows when empty.
        language: of headings: es or en; None is the institution's in a workbook and column names in a CSV.
        delimiter: between the cells of a CSV: a comma, a semicolon or a tab.
        decimal: sign of a CSV's decimals.
    """

    what: str
    format: Format = "xlsx"
    where: str | None = None
    columns: tuple[str, ...] = ()
    language: Language | None = None
    delimiter: str = ","
    decimal: str = "."

    def __post_init__(self) -> None:
        if self.format not in FORMATS:
            raise UsageError(f"--format {self.format} is not known. Choose one of: {', '.join(FORMATS)}")
        if self.language is not None and self.language not in LANGUAGES:
            raise UsageError(f"--language {self.language} is not known. Choose one of: {', '.join(LANGUAGES)}")
        if self.delimiter not in {",", ";", "\t"}:
            raise UsageError(f"--delimiter {self.delimiter!r} is not known. Choose , or ;")
        if self.decimal not in {".", ","}:
            raise UsageError(f"The decimal sign {self.decimal!r} is not known. Choose . or ,")


@dataclass(frozen=True)
class Exported:
    """What was written."""

    path: Path
    rows: int
    columns: tuple[str, ...]
    sha256: str


def request_of(
    what: str,
    format_: str | None,
    where: str | None,
    columns: str | None,
    language: str | None,
    delimiter: str,
    *,
    decimal_comma: bool,
    out: Path | None,
) -> Request:
    """The request that a command line says.

    Raises:
        UsageError: an option is not known, or two contradict each other.
    """
    offer(what)
    ending = out.suffix.lstrip(".").lower() if out else ""
    if format_ and out and ending != format_:
        raise UsageError(f"--format {format_} and --out {out} contradict each other; the file should end in .{format_}")
    chosen = format_ or ending or FORMATS[0]
    if chosen != "csv" and (delimiter != "," or decimal_comma):
        raise UsageError(f"--delimiter and --decimal-comma are of --format csv, not of {chosen}")
    if decimal_comma and delimiter != ";":
        raise UsageError("--decimal-comma needs --delimiter ';': a comma cannot be both")
    return Request(
        what,
        cast(Format, chosen),
        where,
        tuple(name.strip() for name in columns.split(",") if name.strip()) if columns else (),
        cast("Language | None", language),
        delimiter,
        "," if decimal_comma else ".",
    )


def default_file(home: Path, snapshot: Snapshot, request: Request) -> Path:
    """Where an export goes when nobody says: ``HOME/exports``, named by date and content."""
    return home / "exports" / f"{snapshot.as_of_date.isoformat()}_{request.what}.{request.format}"


def export(snapshot: Snapshot, request: Request, path: Path, *, replace: bool = False) -> Exported:
    """Write the rows of ``request`` to ``path``: whole or not at all.

    The rows stream: memory does not grow with their number. Equal requests on equal snapshots give equal files. A file
    that names people is its owner's alone.

    Raises:
        UsageError: the request is wrong, or the file is there and ``replace`` is False; nothing was written.
        ExportError: the snapshot lacks what is asked for, or the file could not be written; nothing is left behind.
    """
    offered = offer(request.what)
    _free(path, replace)
    path.parent.mkdir(parents=True, exist_ok=True)
    half = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with opened(snapshot, offered, scratch=path.parent) as source:
            columns = source.chosen(request.columns)
            condition = source.condition(request.where)
            writer = _writer(snapshot, offered, request)
            if offered.has_names:
                keep_private(half)
            rows = writer.write(half, columns, source.batches(writer.expressions(columns), condition))
        digest = sha256_of(half)
        _free(path, replace)
        half.replace(path)
    except OSError as error:
        raise ExportError(
            f"{path} cannot be written: {error.strerror or error}. Check its folder, permissions and free space."
        ) from error
    finally:
        half.unlink(missing_ok=True)
    return Exported(path, rows, tuple(column.name for column in columns), digest)


def record(home: Path, snapshot: Snapshot, request: Request, exported: Exported, *, at: datetime) -> Path:
    """Add a line about an export to ``HOME/exports/log.csv``; returns the log.

    Args:
        home: the institution's home.
        snapshot: what was exported from.
        request: what was asked.
        exported: what was written.
        at: the moment, UTC.
    """
    log = home / "exports" / LOG
    log.parent.mkdir(parents=True, exist_ok=True)
    line = (
        at.isoformat(sep=" "), request.what, request.format, snapshot.as_of_date.isoformat(), snapshot.folder.name,
        " ".join(exported.columns), request.where or "", str(exported.rows), exported.sha256, str(exported.path),
    )  # fmt: skip
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\r\n")
    # One write at the file's end: two exports at a time give two whole lines. The header goes with the first of them.
    descriptor = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        if os.fstat(descriptor).st_size == 0:
            out.write("\ufeff")
            writer.writerow(LOG_COLUMNS)
        writer.writerow([harmless(cell) for cell in line])
        os.write(descriptor, out.getvalue().encode())
    finally:
        os.close(descriptor)
    return log


def snapshot_of(home: Path, as_of: date | None) -> Snapshot:
    """The published snapshot of a business date; the current one without a date.

    Of several snapshots of a date the current one counts, else the one published last.

    Raises:
        PublishError: nothing is published.
        UsageError: no kept snapshot is of that date; says which dates there are.
    """
    current = Snapshot.current(home)
    if as_of is None or current.as_of_date == as_of:
        return current
    kept = [snapshot for snapshot in Snapshot.kept(home)]
    matching = [snapshot for snapshot in kept if snapshot.as_of_date == as_of]
    if not matching:
        dates = sorted({snapshot.as_of_date.isoformat() for snapshot in kept})
        raise UsageError(f"No snapshot of {as_of} is kept in {home}. Kept are: {', '.join(dates)}")
    return matching[-1]


def _writer(snapshot: Snapshot, offered: Offer, request: Request) -> Writer:
    spoken = str(snapshot.manifest.get("institution", {}).get("language", "es"))
    language = request.language or cast(Language, spoken if spoken in LANGUAGES else "es")
    facts = about(snapshot, offered.description[language], request.where, language)
    if request.format == "csv":
        return CsvWriter(delimiter=request.delimiter, decimal=request.decimal, language=request.language)
    if request.format == "parquet":
        return ParquetWriter({
            "what": request.what, "as_of_date": snapshot.as_of_date.isoformat(), "snapshot": snapshot.folder.name,
            "where": request.where or "",
        })  # fmt: skip
    return XlsxWriter(title=offered.title[language], facts=facts, language=language, created=midnight(snapshot))


def _free(path: Path, replace: bool) -> None:
    if path.is_dir():
        raise UsageError(f"--out {path} is a folder; name a file in it")
    if path.exists() and not replace:
        raise UsageError(
            f"{path} is already there and was left as it is. Add --force to replace it, or --out another file."
        )
