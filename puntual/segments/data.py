"""Reading of the YAML files that people write: what is wrong is said with its file and key."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from puntual.errors import PuntualError

Model = TypeVar("Model", bound=BaseModel)

CODE = r"^[a-z][a-z0-9_]{0,39}$"


class CampaignDataError(PuntualError):
    """A file of segments, templates, campaigns or the escalation is not valid; names file and key."""

    exit_code = 2


class _OneOfEach(yaml.SafeLoader):
    """YAML in which a key that stands twice is an error: the first of the two would be lost in silence."""


def _mapping(loader: _OneOfEach, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
    keys = [key.value for key, _ in node.value]
    for key, _ in node.value:
        if keys.count(key.value) > 1:
            raise yaml.constructor.ConstructorError(
                None, None, f"the key {key.value!r} stands twice in one place", key.start_mark
            )
    return yaml.SafeLoader.construct_mapping(loader, node, deep=deep)


_OneOfEach.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)


def read_data(file: Path, model: type[Model]) -> Model:
    """The file as ``model``.

    Raises:
        CampaignDataError: it cannot be read, or a key is unknown, missing or wrong; every problem with file and key.
    """
    try:
        content = yaml.load(file.read_text(encoding="utf-8"), Loader=_OneOfEach)  # noqa: S506 - a SafeLoader
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise CampaignDataError(f"{file} cannot be read as YAML: {error}") from error
    try:
        return model.model_validate(content)
    except ValidationError as error:
        problems = [f"{file}: {_place(problem['loc'], content)}: {_what(problem)}" for problem in error.errors()]
        raise CampaignDataError("\n".join(problems)) from error


def files_of(shipped: Path, own: Path | None, name: str) -> list[Path]:
    """The shipped file and, where the institution has one of that name, its own behind it."""
    mine = own / name if own is not None else None
    return [shipped / name, *([mine] if mine is not None and mine.exists() else [])]


def digest_of(content: Any) -> str:
    """SHA-256 of content as JSON with sorted keys: the same meaning has the same digest, whatever the layout."""
    text = json.dumps(content, sort_keys=True, ensure_ascii=False, default=str)
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def _place(location: Sequence[int | str], content: Any) -> str:
    """The key of a problem, with the id of a list's entry instead of its number."""
    parts: list[str] = []
    for step in location:
        here = content[step] if _has(content, step) else None
        name = (here.get("id") or here.get("code")) if isinstance(here, dict) else None
        parts.append(str(name) if isinstance(step, int) and name else str(step))
        content = here
    return ".".join(parts) or "file"


def _has(content: Any, step: int | str) -> bool:
    if isinstance(content, dict):
        return step in content
    return isinstance(content, list) and isinstance(step, int) and step < len(content)


def _what(problem: Any) -> str:
    match problem["type"]:
        case "extra_forbidden":
            return "unknown key"
        case "missing":
            return "is missing"
        case "value_error":
            return str(problem["ctx"]["error"])
        case "literal_error":
            return f"{problem['msg']}, not {problem['input']!r}"
        case _:
            return str(problem["msg"])
