"""Digests that do not depend on a library's version: of JSON, of files, and of every row of a table."""

from __future__ import annotations

import hashlib
import json
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from platform import python_version
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from puntual.errors import AuditError
from puntual.paths import PROJECT_ROOT

Bytes = npt.NDArray[np.uint8]

ROW_BYTES = 32
"""Length of a row's digest: SHA-256."""

_CODE = ("puntual", "models", "pipelines", "dbt_project", "data/policies", "data/models")
_CODE_SUFFIXES = {".py", ".sql", ".yaml", ".yml", ".csv"}
_LIBRARIES = ("numpy", "pandas", "pyarrow", "scipy", "duckdb", "xlsxwriter", "highspy")


def canonical(value: Any) -> bytes:
    """JSON with sorted keys and no spaces, in UTF-8: equal values are equal bytes.

    >>> canonical({"b": 1, "a": [True, None]})
    b'{"a":[true,null],"b":1}'
    """
    return json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()


def sha256(content: bytes) -> str:
    """Hexadecimal SHA-256."""
    return hashlib.sha256(content).hexdigest()


def row_digests(table: pa.Table) -> Bytes:
    """The SHA-256 of every row, rows x 32.

    A row is its columns in order, lists last. A column is one byte (1: present, 0: missing) and its value: a number,
    truth value, date (days) or time (microseconds) as a little-endian 64-bit figure, a text as the 32 bytes of the
    SHA-256 of its UTF-8. A list is its length in eight bytes and the columns of each of its items. A missing value has
    zeros in its place.
    """
    size = table.num_rows
    fixed, lists = [], []
    for name in table.column_names:
        column = table.column(name).combine_chunks()
        if isinstance(column, pa.ChunkedArray):  # no rows, no chunks
            column = pa.array([], type=column.type)
        if pa.types.is_list(column.type):
            lists.append(_list_bytes(column))
        else:
            fixed.append(_bytes(column))
    whole = np.ascontiguousarray(np.concatenate(fixed, axis=1)) if fixed else np.zeros((size, 0), dtype=np.uint8)
    digests = np.empty((size, ROW_BYTES), dtype=np.uint8)
    for row in range(size):
        state = hashlib.sha256(whole[row].data)
        for offsets, items in lists:
            first, last = int(offsets[row]), int(offsets[row + 1])
            state.update((last - first).to_bytes(8, "little"))
            state.update(items[first:last].data)
        digests[row] = np.frombuffer(state.digest(), dtype=np.uint8)
    return digests


def _list_bytes(column: pa.ListArray) -> tuple[npt.NDArray[np.int64], Bytes]:
    items = column.flatten()
    offsets = np.concatenate([[0], np.cumsum(pc.list_value_length(column).fill_null(0).to_numpy())]).astype(np.int64)
    parts = items.flatten() if pa.types.is_struct(items.type) else [items]
    return offsets, np.ascontiguousarray(np.concatenate([_bytes(part) for part in parts], axis=1))


def _bytes(column: pa.Array) -> Bytes:
    kind = column.type
    present = pc.is_valid(column).to_numpy(zero_copy_only=False).astype(np.uint8)[:, None]
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        coded = column.dictionary_encode()
        known = [hashlib.sha256(text.encode()).digest() for text in coded.dictionary.to_pylist()]
        digests = np.frombuffer(b"".join([*known, bytes(ROW_BYTES)]), dtype=np.uint8).reshape(-1, ROW_BYTES)
        codes = coded.indices.fill_null(len(known)).to_numpy(zero_copy_only=False).astype(np.int64)
        return np.concatenate([present, digests[codes]], axis=1)
    if pa.types.is_null(kind):
        figures = np.zeros(len(column), dtype="<i8")
    elif pa.types.is_floating(kind):
        figures = column.cast(pa.float64()).fill_null(0.0).to_numpy(zero_copy_only=False).astype("<f8")
    elif pa.types.is_boolean(kind) or pa.types.is_integer(kind):
        figures = column.cast(pa.int64()).fill_null(0).to_numpy(zero_copy_only=False).astype("<i8")
    elif pa.types.is_date32(kind):
        figures = column.cast(pa.int32()).fill_null(0).to_numpy(zero_copy_only=False).astype("<i8")
    elif pa.types.is_timestamp(kind):
        micro = column.cast(pa.timestamp("us", tz=kind.tz)).cast(pa.int64())
        figures = micro.fill_null(0).to_numpy(zero_copy_only=False).astype("<i8")
    else:
        raise AuditError(f"A column of the decision log is of the kind {kind}, which no digest is defined for.")
    eight = np.ascontiguousarray(figures).view(np.uint8).reshape(-1, 8)
    return np.concatenate([present, eight], axis=1)


@cache
def code_digest(root: Path = PROJECT_ROOT) -> str:
    """SHA-256 of the product's own files that a decision depends on: code, SQL, rules, limits."""
    state = hashlib.sha256()
    for folder in _CODE:
        for file in sorted((root / folder).rglob("*")):
            inside = file.relative_to(root)
            if file.suffix in _CODE_SUFFIXES and not {"target", "dbt_packages", "__pycache__"} & set(inside.parts):
                state.update(f"{inside.as_posix()}\0".encode())
                state.update(hashlib.sha256(file.read_bytes()).digest())
    return state.hexdigest()


@cache
def software() -> dict[str, str]:
    """Versions of the product, of Python and of the libraries that write the files of a decision."""
    found = {"python": python_version()}
    for name in ("puntual", *_LIBRARIES):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
