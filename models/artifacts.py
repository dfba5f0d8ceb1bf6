"""A trained model as files: names and bytes, and the version that is their digest."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from puntual.errors import ModelError

VERSION_LENGTH = 16


def file_digest(content: bytes) -> str:
    """Hexadecimal sha256 of a file's bytes."""
    return hashlib.sha256(content).hexdigest()


def content_version(files: Mapping[str, bytes]) -> str:
    """The version of a model: a digest of its file names and bytes, so equal models have equal versions.

    >>> content_version({"a": b"1", "b": b"2"}) == content_version({"b": b"2", "a": b"1"})
    True
    """
    whole = hashlib.sha256()
    for name in sorted(files):
        whole.update(f"{name}\0{file_digest(files[name])}\n".encode())
    return whole.hexdigest()[:VERSION_LENGTH]


def json_bytes(data: Any) -> bytes:
    """JSON with sorted keys and a final newline; the same data gives the same bytes. NaN becomes null."""
    return (json.dumps(_plain(data), sort_keys=True, ensure_ascii=False, indent=1, allow_nan=False) + "\n").encode()


def read_head(files: Mapping[str, bytes], *, name: str, format_: str, schema_hash: str) -> dict[str, Any]:
    """What ``model.json`` of a stored model holds, of the format and the columns that this release reads.

    Raises:
        ModelError: another release wrote it, or it was trained on other columns than the present ones.
    """
    head: dict[str, Any] = json.loads(files["model.json"])
    if head["format"] != format_:
        raise ModelError(f"{name}: the stored model has format {head['format']}, not {format_}; train again.")
    if head["schema_hash"] != schema_hash:
        raise ModelError(f"{name}: the stored model was trained on other columns than today's; train again.")
    return head


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if hasattr(value, "item") and not isinstance(value, (str, bytes)):
        value = value.item()
    if isinstance(value, float) and value != value:
        return None
    if hasattr(value, "isoformat"):
        return value.isoformat()
    return value
