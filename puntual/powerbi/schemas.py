"""Microsoft's own JSON schemas, from a folder: nothing is fetched. A file names the schema that it obeys."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from referencing import Registry

HOST = "https://developer.microsoft.com/json-schemas/"


@dataclass(frozen=True)
class FileVerdict:
    """What a schema says of a file.

    Attributes:
        schema: the ``$schema`` that the file names; empty when it names none.
        problems: what the schema objects to; empty when it is content.
        is_checked: False when there is no such schema in the folder, or the file names none.
    """

    file: str
    schema: str
    problems: tuple[str, ...]
    is_checked: bool


def validate_files(files: Mapping[str, str], folder: Path | None) -> list[FileVerdict]:
    """A verdict per JSON file of a project, in the order of its paths.

    Args:
        files: path to text.
        folder: where the schemas lie as their addresses say; None or absent: nothing can be checked, and the verdicts
            say so.
    """
    registry = _registry(folder) if folder is not None and folder.is_dir() else None
    return [_verdict(path, json.loads(text), registry) for path, text in sorted(files.items()) if _is_json(path)]


def _is_json(path: str) -> bool:
    return path.endswith((".json", ".pbip", ".pbids", ".pbism", ".pbir", ".platform"))


def _registry(folder: Path) -> Registry[Any]:
    from referencing import Registry, Resource
    from referencing.jsonschema import DRAFT7

    resources = []
    for file in sorted(folder.rglob("*.json")):
        content = json.loads(file.read_text(encoding="utf-8"))
        # By path, not by $id: an embedded schema calls itself schema.embedded and is asked for as schema-embedded.
        address = HOST + file.relative_to(folder).as_posix()
        resources.append((address, Resource.from_contents(content, default_specification=DRAFT7)))
    registry: Registry[Any] = Registry()
    return registry.with_resources(resources)


def _verdict(path: str, content: Any, registry: Registry[Any] | None) -> FileVerdict:
    from jsonschema import Draft7Validator

    address = content.get("$schema", "") if isinstance(content, dict) else ""
    if not address or registry is None or address not in registry:
        return FileVerdict(path, address, (), is_checked=False)
    validator = Draft7Validator(registry[address].contents, registry=registry)
    problems = [
        f"{'/'.join(str(step) for step in error.absolute_path) or 'the whole'}: {error.message[:300]}"
        for error in sorted(validator.iter_errors(content), key=lambda error: list(map(str, error.absolute_path)))
    ]
    return FileVerdict(path, address, tuple(problems), is_checked=True)
