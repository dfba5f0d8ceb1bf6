"""Snapshots made of given tables, for the tests of exports, and readers of what exports wrote."""

from __future__ import annotations

import csv
import json
import re
from datetime import date
from pathlib import Path
from typing import Any

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq

from puntual.snapshot import SCREEN_LIST, Snapshot

AS_OF = date(2026, 6, 30)
# What the CSV writer neutralises, said a second time: signs that begin a formula, behind what a spreadsheet skips.
DANGEROUS = re.compile("^'*([\\s\x00-\x1f\xa0\ufeff\u200b-\u200f]*[=+\\-@\uff1d\uff0b\uff0d\uff20]|[\t\r\n])")


def publish(home: Path, tables: dict[str, pa.Table], as_of: date = AS_OF, language: str = "es") -> Snapshot:
    """A snapshot of ``tables`` that is now current in ``home``."""
    folder = home / "published" / f"{as_of.isoformat()}_{len(list(home.glob('published/*'))):03d}"
    for name, table in tables.items():
        file = folder / (SCREEN_LIST if name == "worklist" else f"bi/{name}.parquet")
        file.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(table, file)
    manifest = {"as_of_date": as_of.isoformat(), "run_id": "r1", "files": {},
                "institution": {"name": "Cooperativa Río Claro", "language": language}}  # fmt: skip
    (folder / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    (home / "puntual.yaml").write_text("institution: {}\n", encoding="utf-8")
    link = home / "published" / "current"
    link.unlink(missing_ok=True)
    link.symlink_to(folder.name)
    return Snapshot.current(home)


def csv_rows(file: Path, delimiter: str = ",") -> list[list[str]]:
    """Header and rows of a CSV, as a program reads it."""
    assert file.read_bytes().startswith(b"\xef\xbb\xbf")
    with file.open(encoding="utf-8-sig", newline="") as stream:
        return list(csv.reader(stream, delimiter=delimiter))


def given_back(cell: str) -> str:
    """The text behind a cell of a CSV: the apostrophe that was put before a formula's sign taken away again."""
    return cell[1:] if cell.startswith("'") and DANGEROUS.match(cell) else cell


def xlsx_rows(file: Path, sheet: int = 0) -> list[list[Any]]:
    """Header and rows of a sheet."""
    return [list(row) for row in openpyxl.load_workbook(file).worksheets[sheet].iter_rows(values_only=True)]
