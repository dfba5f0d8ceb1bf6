"""The files of a landing folder: which table each belongs to, what it is and its digest.

The bytes of a file give its SHA-256, and for a CSV its encoding, separator and header. A file that cannot be read at
all is a problem with a name and a cause; nothing here looks at values.
"""

from __future__ import annotations

import codecs
import csv
import gzip
import hashlib
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from puntual.contracts.schema import TableContract

_BLOCK = 1 << 20
_HEADER_BYTES = 1 << 16
_SUFFIXES = (".parquet", ".csv.gz", ".csv")
_SEPARATORS = (",", ";", "\t", "|")
_BOMS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))


@dataclass(frozen=True)
class CsvFormat:
    """How the text of a CSV file is to be read.

    Attributes:
        encoding: Python codec; everything but UTF-8 is rewritten before it is read.
        separator: between fields.
        header: column names as delivered, in order.
        ends_with_newline: a file cut off in the middle of a row does not.
        has_nul: NUL characters, which no warehouse stores, are in it.
    """

    encoding: str
    separator: str
    header: tuple[str, ...]
    ends_with_newline: bool
    has_nul: bool


@dataclass(frozen=True)
class LandedFile:
    """One file of one table.

    Attributes:
        name: path relative to the landing folder, with forward slashes.
        state: size and time of change when it was digested, to notice a file that is still being written.
        csv: None for Parquet.
    """

    table: str
    path: Path
    name: str
    sha256: str
    size_bytes: int
    state: tuple[int, int]
    csv: CsvFormat | None

    def has_changed(self) -> bool:
        """Whether the file is no longer the one that was digested."""
        return not self.path.exists() or _state(self.path) != self.state


@dataclass(frozen=True)
class Discovery:
    """What a landing folder holds.

    Attributes:
        files: per table its files in the order in which they count: a row of a later file is newer.
        unknown: files that belong to no table, by relative name.
        problems: one sentence per file that cannot be read: file, cause, what to do.
        unusable: tables of those files, each with its sentences.
    """

    files: dict[str, tuple[LandedFile, ...]]
    unknown: tuple[str, ...]
    problems: tuple[str, ...]
    unusable: dict[str, list[str]] = field(default_factory=dict)


def discover(landing: Path, contract: dict[str, TableContract]) -> Discovery:
    """The files of ``landing`` by table, each read once from end to end.

    ``<table>.parquet``, ``<table>.csv``, ``<table>.csv.gz`` or a folder ``<table>/`` of such files, in the order of
    their names. Names count without regard to case. Hidden files and notes (README, LEEME) are left alone.
    """
    found: dict[str, list[LandedFile]] = {}
    unknown: list[str] = []
    problems: list[str] = []
    unusable: dict[str, list[str]] = {}
    if not landing.is_dir():
        return Discovery({}, (), (f"{landing}: there is no such folder; put the institution's files there.",))
    for path in sorted(landing.rglob("*"), key=lambda each: each.relative_to(landing).as_posix()):
        relative = path.relative_to(landing)
        if not path.is_file() or any(part.startswith(".") for part in relative.parts):
            continue
        table = _table_of(relative, contract)
        if table is None and path.stem.lower() in ("readme", "leeme"):
            continue
        if table is None:
            unknown.append(relative.as_posix())
            continue
        try:
            found.setdefault(table, []).append(_inspect(table, path, relative.as_posix(), contract[table]))
            continue
        except UnreadableFileError as error:
            problem = str(error)
        except OSError as error:
            problem = f"{relative.as_posix()}: cannot be read: {error.strerror or error}."
        problems.append(problem)
        unusable.setdefault(table, []).append(problem)
    files = {name: tuple(found[name]) for name in contract if name in found}
    return Discovery(files, tuple(unknown), tuple(problems), unusable)


class UnreadableFileError(Exception):
    """A file is not what its name says. The text names file, cause and remedy."""


def _table_of(relative: Path, contract: dict[str, TableContract]) -> str | None:
    name = relative.name.lower()
    suffix = next((suffix for suffix in _SUFFIXES if name.endswith(suffix)), None)
    if suffix is None:
        return None
    table = name.removesuffix(suffix) if len(relative.parts) == 1 else relative.parts[0].lower()
    return table if table in contract else None


def _state(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_size, status.st_mtime_ns


def _inspect(table: str, path: Path, name: str, contract: TableContract) -> LandedFile:
    state = _state(path)
    if state[0] == 0:
        raise UnreadableFileError(f"{name}: the file is empty, it has not even a header. Export it again.")
    with path.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    is_parquet = path.name.lower().endswith(".parquet")
    csv_format = None if is_parquet else _csv_format(path, name, contract)
    if is_parquet:
        _check_parquet_frame(path, name)
    return LandedFile(table, path, name, digest, state[0], state, csv_format)


def _check_parquet_frame(path: Path, name: str) -> None:
    """A Parquet file begins and ends with the same four bytes; one that was cut off lacks the last ones."""
    with path.open("rb") as stream:
        start = stream.read(4)
        stream.seek(-min(8, path.stat().st_size), 2)
        end = stream.read()[-4:]
    if start != b"PAR1":
        raise UnreadableFileError(f"{name}: is not a Parquet file. Export it again, or name it .csv if it is one.")
    if end != b"PAR1":
        raise UnreadableFileError(f"{name}: the file is cut off (it has no Parquet footer). Transfer it again.")


def open_bytes(path: Path) -> IO[bytes]:
    """The uncompressed bytes of a CSV file."""
    if path.name.lower().endswith(".gz"):
        return gzip.open(path, "rb")  # type: ignore[return-value]
    return path.open("rb")


def _blocks(path: Path, name: str) -> Iterator[bytes]:
    try:
        with open_bytes(path) as stream:
            while block := stream.read(_BLOCK):
                yield block
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise UnreadableFileError(
            f"{name}: the compressed file is cut off or damaged ({error}). Transfer it again."
        ) from error


def _csv_format(path: Path, name: str, contract: TableContract) -> CsvFormat:
    head = bytearray()
    last = b""
    has_nul = False
    decoder = codecs.getincrementaldecoder("utf-8")()
    is_utf8 = True
    for block in _blocks(path, name):
        if len(head) < _HEADER_BYTES:
            head += block[:_HEADER_BYTES]
        if is_utf8:
            try:
                decoder.decode(block)
            except UnicodeDecodeError:
                is_utf8 = False
        has_nul = has_nul or b"\0" in block
        last = block[-2:]
    if is_utf8:
        try:
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            is_utf8 = False
    encoding = next((codec for bom, codec in _BOMS if head.startswith(bom)), "utf-8" if is_utf8 else "cp1252")
    if encoding == "utf-8-sig" and not is_utf8:
        encoding = "cp1252"
    text = bytes(head).decode(encoding, errors="replace").lstrip("\ufeff")
    first_line = next((line for line in text.splitlines() if line.strip()), "")
    if not first_line:
        raise UnreadableFileError(f"{name}: the file is empty, it has not even a header. Export it again.")
    separator, header = _header(first_line, contract)
    newline = b"\n" in last or b"\r" in last
    return CsvFormat(encoding, separator, header, newline, has_nul and encoding != "utf-16")


def _header(line: str, contract: TableContract) -> tuple[str, tuple[str, ...]]:
    """Separator and names: the separator is the one that yields most columns of the contract."""
    known = set(contract.column_names)

    def names(separator: str) -> tuple[str, ...]:
        return tuple(next(csv.reader([line], delimiter=separator)))

    best = max(_SEPARATORS, key=lambda sep: (sum(plain_name(name) in known for name in names(sep)), len(names(sep))))
    return best, names(best)


def plain_name(name: str) -> str:
    """A delivered column name as the contract would write it.

    >>> plain_name(' Loan_ID ')
    'loan_id'
    """
    return name.strip().strip("\ufeff").strip().lower()


def rewritten(file: LandedFile, folder: Path) -> Path:
    """A UTF-8 copy of a CSV in ``folder``, with line feeds as the only line ends and without NUL characters.

    Latin-1 is read as Windows-1252, its superset in practice; bytes that even that does not define are kept as Latin-1.
    """
    assert file.csv is not None
    target = folder / f"{file.sha256[:32]}.csv"
    encoding = file.csv.encoding
    with open_bytes(file.path) as source:
        if encoding == "cp1252" and _has_undefined_cp1252(file.path):
            encoding = "latin-1"
        reader = codecs.getreader(encoding)(source)
        carried = ""
        with target.open("w", encoding="utf-8", newline="") as sink:
            while block := reader.read(_BLOCK):
                block = carried + block
                # A carriage return at the very end may be the first half of a line end.
                carried = "\r" if block.endswith("\r") else ""
                block = block.removesuffix("\r")
                sink.write(block.replace("\0", "").replace("\r\n", "\n").replace("\r", "\n"))
            if carried:
                sink.write("\n")
    return target


def _has_undefined_cp1252(path: Path) -> bool:
    undefined = (0x81, 0x8D, 0x8F, 0x90, 0x9D)
    with open_bytes(path) as stream:
        while block := stream.read(_BLOCK):
            if any(byte in block for byte in undefined):
                return True
    return False
