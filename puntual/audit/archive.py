"""Frames kept by their content: cut into runs of rows, each stored once however many days and frames share it.

The cuts follow the rows themselves (a row ends a piece when its hash says so): a new row changes the piece that it
falls into and no other, so that tomorrow's interactions add what is new and share the rest with today's.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from puntual.audit.digests import canonical, sha256
from puntual.errors import AuditError
from puntual.strict import Strict

PIECE_ROWS = 4_096
"""Mean length of a piece."""
_MOST_ROWS = 16 * PIECE_ROWS


class Piece(Strict):
    """Rows, or a whole file, stored as one object, which is named by the SHA-256 of its bytes."""

    sha256: str
    rows: int
    size: int


class Frame(Strict):
    """A frame in the archive: its columns with the types that pandas has them in, and its pieces in order."""

    columns: dict[str, str]
    pieces: tuple[Piece, ...]

    @property
    def digest(self) -> str:
        """SHA-256 of the columns and the pieces."""
        return sha256(canonical(self.model_dump()))


@dataclass(frozen=True)
class Archive:
    """Objects of one home. New ones are written to ``draft`` and become part of the archive with a publication.

    Attributes:
        root: where the objects of finished days are, by the first two letters of their names.
        draft: where those of a day that is not published yet are; None: nothing can be put in.
    """

    root: Path
    draft: Path | None = None

    def put(self, frame: pd.DataFrame) -> Frame:
        """Store a frame; what is there already is not written again. Index and column order are not kept apart.

        Raises:
            AuditError: a column has values that Parquet has no type for; names it.
        """
        if self.draft is None:
            raise AuditError("This archive is open for reading only.")
        frame = frame.reset_index(drop=True)
        columns = {str(name): str(dtype) for name, dtype in frame.dtypes.items()}
        table = _table(frame)
        cuts = _cuts(frame)
        pieces = []
        for first, last in pairwise(cuts):
            content = _parquet(table.slice(first, last - first))
            name = hashlib.sha256(content).hexdigest()
            pieces.append(Piece(sha256=name, rows=last - first, size=len(content)))
            if not self.place(name).exists():
                write_private(self.draft / name, content)
        return Frame(columns=columns, pieces=tuple(pieces))

    def put_bytes(self, content: bytes) -> Piece:
        """Store a file as it is."""
        if self.draft is None:
            raise AuditError("This archive is open for reading only.")
        name = hashlib.sha256(content).hexdigest()
        if not self.place(name).exists():
            write_private(self.draft / name, content)
        return Piece(sha256=name, rows=0, size=len(content))

    def get(self, frame: Frame) -> pd.DataFrame:
        """The frame as it was put in.

        Raises:
            AuditError: an object is missing, or its bytes are not those that were put in.
        """
        tables = []
        for piece in frame.pieces:
            content = self.read(piece.sha256)
            tables.append(pq.read_table(pa.BufferReader(content)))
        if not tables:
            return pd.DataFrame({name: pd.Series(dtype=dtype) for name, dtype in frame.columns.items()})
        # A column that is empty in one piece has no type there.
        table = pa.concat_tables(tables, promote_options="default")
        return pd.DataFrame({name: _series(table.column(name), dtype) for name, dtype in frame.columns.items()})

    def read(self, name: str) -> bytes:
        """The bytes of an object, checked against its name.

        Raises:
            AuditError: it is missing or altered.
        """
        for file in self._places(name):
            if file.exists():
                content = file.read_bytes()
                if hashlib.sha256(content).hexdigest() != name:
                    raise AuditError(f"{file} was altered: its bytes are not those that were archived under its name.")
                return content
        raise AuditError(f"The archived object {name} is missing ({self.place(name)}).")

    def place(self, name: str) -> Path:
        """Where an object of a finished day is."""
        return self.root / name[:2] / name

    def _places(self, name: str) -> Iterator[Path]:
        yield self.place(name)
        if self.draft is not None:
            yield self.draft / name

    def take_over(self, names: Iterable[str]) -> None:
        """Make the drafted objects among ``names`` part of the archive.

        Raises:
            AuditError: one is neither drafted nor there.
        """
        for name in sorted(set(names)):
            place = self.place(name)
            drafted = self.draft / name if self.draft is not None else None
            if place.exists():
                continue
            if drafted is None or not drafted.exists():
                raise AuditError(f"The archived object {name} is missing; run the day again.")
            place.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            drafted.replace(place)

    def give_back(self, name: str) -> None:
        """Make an object of the archive a draft again."""
        if self.draft is not None and self.place(name).exists():
            self.draft.mkdir(parents=True, exist_ok=True, mode=0o700)
            self.place(name).replace(self.draft / name)

    def names(self) -> dict[str, Path]:
        """Every file below the root by its object's name."""
        if not self.root.exists():
            return {}
        return {file.name: file for file in sorted(self.root.rglob("*")) if file.is_file()}


def write_private(file: Path, content: bytes) -> None:
    """Write a file that only its owner reads, and make sure that it is on the disk."""
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())


def _table(frame: pd.DataFrame) -> pa.Table:
    try:
        return pa.Table.from_pandas(frame, preserve_index=False).replace_schema_metadata(None)
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        raise AuditError(f"An input of the decision cannot be archived: {error}") from error


def _parquet(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd", compression_level=6)
    return sink.getvalue().to_pybytes()


def _cuts(frame: pd.DataFrame) -> list[int]:
    """Row positions at which pieces begin, and the end; an empty frame is one empty piece, which keeps its types."""
    size = len(frame)
    if size == 0:
        return [0, 0]
    texts = frame.astype({name: str for name in frame.columns if frame[name].dtype == object})
    ends = np.flatnonzero(pd.util.hash_pandas_object(texts, index=False).to_numpy() % np.uint64(PIECE_ROWS) == 0) + 1
    cuts = [0]
    for end in [*ends.tolist(), size]:
        while end - cuts[-1] > _MOST_ROWS:
            cuts.append(cuts[-1] + _MOST_ROWS)
        if end > cuts[-1]:
            cuts.append(end)
    return cuts


def _series(column: pa.ChunkedArray, dtype: str) -> pd.Series:
    if dtype in {"Int64", "boolean", "Float64"}:
        nullable: dict[str, Any] = {"Int64": pd.Int64Dtype, "boolean": pd.BooleanDtype, "Float64": pd.Float64Dtype}
        return column.to_pandas(types_mapper=lambda _: nullable[dtype]()).astype(dtype)
    values = column.to_pandas(date_as_object=True)
    if dtype == "object":
        values = values.astype(object)
        return values.where(values.notna(), None)
    return values if str(values.dtype) == dtype else values.astype(dtype)
