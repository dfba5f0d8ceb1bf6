"""The arguments of a function as named frames and JSON, and back: what was decided from can be decided from again.

Which argument is what comes from the function's own annotations, so that a new argument is carried without a word here.
Dataclasses that hold frames are taken apart by field (``duties.planned``).
"""

from __future__ import annotations

import dataclasses
import inspect
import types
import typing
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd
from pydantic import BaseModel, TypeAdapter
from pydantic_core import to_jsonable_python

from puntual.audit.archive import Archive, Frame
from puntual.audit.digests import canonical, sha256
from puntual.decision.policies import PolicySet
from puntual.errors import AuditError
from puntual.strict import Strict


class Arguments(Strict):
    """The arguments of one call: frames by name, everything else as JSON by name."""

    frames: dict[str, Frame]
    values: dict[str, Any]

    @property
    def digest(self) -> str:
        """SHA-256 of all of them: equal arguments, equal digest."""
        frames = {name: frame.digest for name, frame in self.frames.items()}
        return sha256(canonical({"frames": frames, "values": self.values}))

    @property
    def objects(self) -> set[str]:
        """Names of the archived objects that the frames need."""
        return {piece.sha256 for frame in self.frames.values() for piece in frame.pieces}


def complete(function: Callable[..., Any], arguments: Mapping[str, Any]) -> dict[str, Any]:
    """``arguments`` with the defaults of ``function`` filled in.

    Raises:
        TypeError: an argument that the function does not have, or lacks.
    """
    bound = inspect.signature(function).bind(**arguments)
    bound.apply_defaults()
    return dict(bound.arguments)


def dump(function: Callable[..., Any], arguments: Mapping[str, Any], archive: Archive) -> Arguments:
    """Put the arguments of a call of ``function`` into the archive, its defaults included.

    Raises:
        AuditError: an argument is of a kind that cannot be carried; names it.
    """
    frames: dict[str, Frame] = {}
    values: dict[str, Any] = {}
    hints = typing.get_type_hints(function)
    for name, value in complete(function, arguments).items():
        _dump(name, value, hints[name], frames, values, archive)
    return Arguments(frames=frames, values=values)


def load(function: Callable[..., Any], stored: Arguments, archive: Archive) -> dict[str, Any]:
    """The arguments of :func:`dump`, ready for ``function(**arguments)``.

    An argument that the function has gained since takes its default.

    Raises:
        AuditError: the archive is damaged, or the function no longer takes what was stored.
    """
    hints = typing.get_type_hints(function)
    parameters = inspect.signature(function).parameters
    known = {name.split(".")[0] for name in (*stored.frames, *stored.values)}
    if strange := sorted(known - set(parameters)):
        raise AuditError(
            f"The archive has {', '.join(strange)}, which this release does not take. "
            "Use the release that the log names for the day."
        )
    return {name: _load(name, hints[name], stored, archive) for name in parameters if name in known}


def _dump(name: str, value: Any, hint: Any, frames: dict[str, Frame], values: dict[str, Any], archive: Archive) -> None:
    if value is None:
        values[name] = None
    elif isinstance(value, pd.DataFrame):
        frames[name] = archive.put(value)
    elif _holds_frames(type(value)):
        parts = typing.get_type_hints(type(value))
        values[name] = {}  # that it was given at all
        for field in dataclasses.fields(value):
            _dump(f"{name}.{field.name}", getattr(value, field.name), parts[field.name], frames, values, archive)
    else:
        values[name] = to_json(name, value, hint)


def to_json(name: str, value: Any, hint: Any) -> Any:
    """A value as JSON by its annotation; :func:`from_json` gives it back.

    Raises:
        AuditError: pydantic has no way to write it.
    """
    if isinstance(value, PolicySet):  # where its files lay on this machine means nothing on another
        value = value.model_copy(update={"files": tuple(Path(file.name) for file in value.files)})
    try:
        return _plain(TypeAdapter(hint).dump_python(value))
    except Exception as error:
        raise AuditError(f"The argument {name} of the decision cannot be archived: {error}") from error


def from_json(name: str, value: Any, hint: Any) -> Any:
    """The value of :func:`to_json`.

    Raises:
        AuditError: it is not of the kind that the annotation says.
    """
    try:
        return TypeAdapter(hint).validate_python(value, strict=False)
    except ValueError as error:
        raise AuditError(f"{name}: {error}") from error


def _plain(value: Any) -> Any:
    """JSON of what pydantic gave; sets in order, for theirs is another one in each process."""
    if isinstance(value, Mapping):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, set | frozenset):
        return sorted((_plain(one) for one in value), key=canonical)
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return to_jsonable_python(value)


def _load(name: str, hint: Any, stored: Arguments, archive: Archive) -> Any:
    if name in stored.frames:
        return archive.get(stored.frames[name])
    value = stored.values[name]
    if value is None:
        return None
    kind = next((one for one in _alternatives(hint) if isinstance(one, type) and _holds_frames(one)), None)
    if kind is None:
        return from_json(name, value, hint)
    parts = typing.get_type_hints(kind)
    there = {field.name for field in dataclasses.fields(kind)}
    inside = {key for key in there if f"{name}.{key}" in stored.frames or f"{name}.{key}" in stored.values}
    return kind(**{key: _load(f"{name}.{key}", parts[key], stored, archive) for key in sorted(inside)})


def _alternatives(hint: Any) -> tuple[Any, ...]:
    union = isinstance(hint, types.UnionType) or typing.get_origin(hint) is typing.Union
    return typing.get_args(hint) if union else (hint,)


def _holds_frames(kind: type) -> bool:
    """Whether ``kind`` is a dataclass with a frame among its fields, at any depth."""
    if not dataclasses.is_dataclass(kind) or issubclass(kind, BaseModel):
        return False
    for hint in typing.get_type_hints(kind).values():
        for one in _alternatives(hint):
            if one is pd.DataFrame or (isinstance(one, type) and _holds_frames(one)):
                return True
    return False
