"""A Power BI project as files: model, report, and what ties them together. The same inputs give the same bytes."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from puntual.errors import ExportError, UsageError
from puntual.powerbi.measures import all_measures
from puntual.powerbi.model import SemanticModel, SourceSettings, build_model, tag
from puntual.powerbi.report import build_pages, report_files
from puntual.powerbi.semantics import Semantics
from puntual.powerbi.tmdl import write
from puntual.warehouse.catalog import TableSpec

NAME = "Puntual"
MODEL_FOLDER, REPORT_FOLDER = f"{NAME}.SemanticModel", f"{NAME}.Report"
_HOST = "https://developer.microsoft.com/json-schemas/fabric"
VALIDATION = "validation.json"


def build_project(
    tables: Mapping[str, TableSpec], semantics: Semantics, source: SourceSettings, institution: str
) -> tuple[SemanticModel, dict[str, str]]:
    """The model as it is meant, and every file of the project: path to text."""
    model = build_model(tables, semantics, source)
    measures = all_measures(semantics)
    contents: dict[str, Any] = {
        f"{NAME}.pbip": {
            "$schema": f"{_HOST}/pbip/pbipProperties/1.0.0/schema.json",
            "version": "1.0",
            "artifacts": [{"report": {"path": REPORT_FOLDER}}],
            "settings": {"enableAutoRecovery": True},
        },
        f"{NAME}.pbids": _pbids(source),
        f"{MODEL_FOLDER}/.platform": _platform("SemanticModel", institution),
        f"{MODEL_FOLDER}/definition.pbism": {
            "$schema": f"{_HOST}/item/semanticModel/definitionProperties/1.0.0/schema.json",
            "version": "4.2",
            "settings": {},
        },
        f"{REPORT_FOLDER}/.platform": _platform("Report", institution),
        f"{REPORT_FOLDER}/definition.pbir": {
            "$schema": f"{_HOST}/item/report/definitionProperties/2.0.0/schema.json",
            "version": "4.0",
            "datasetReference": {"byPath": {"path": f"../{MODEL_FOLDER}"}},
        },
    }
    for path, content in report_files(build_pages(measures), measures, institution).items():
        contents[f"{REPORT_FOLDER}/{path}"] = content
    files = {path: json.dumps(content, ensure_ascii=False, indent=2) + "\n" for path, content in contents.items()}
    files |= {f"{MODEL_FOLDER}/definition/{path}": write(nodes) for path, nodes in model.files.items()}
    return model, dict(sorted(files.items()))


def write_project(files: Mapping[str, str], folder: Path, *, force: bool = False) -> list[Path]:
    """Put the project into ``folder`` in place of an older one; other files of the folder stay.

    It is written whole into a folder of its own, and its parts are then renamed. A crash while it is written leaves the
    old project as it was; one between the renames is undone by the next call, and by an error at once.

    Args:
        files: path to text of the whole project; with ``validation.json``, whose ``sha256`` says next time what was
            written by us.
        folder: made when absent.
        force: replace what somebody changed or added.

    Raises:
        UsageError: the two items hold somebody's own work and ``force`` is False; nothing was written.
        ExportError: the folder cannot be written; the old project still stands.
    """
    try:
        make_ready(files, folder, force=force)
        new = folder / _NEW
        for relative, text in files.items():
            path = new / relative
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(text.encode("utf-8"))
        try:
            _swap(folder)
        except BaseException:
            _undo(folder)
            raise
        shutil.rmtree(folder / _DONE, ignore_errors=True)
        shutil.rmtree(new, ignore_errors=True)
    except OSError as error:
        raise ExportError(
            f"{folder} cannot be written: {error.strerror or error}. The project that was there still stands. Close it "
            "in Power BI Desktop, check the permissions and the free space, and try again."
        ) from error
    return [folder / relative for relative in files]


def make_ready(files: Mapping[str, str], folder: Path, *, force: bool = False) -> None:
    """Undo what a crash left half done in ``folder``, and refuse to replace a project that somebody worked on.

    Own work is a file of the model or the report, or one of the two files that open them, that is neither as it was
    last written nor as it would be written now. Power BI Desktop's own notes (``.pbi``) are none.

    Raises:
        UsageError: there is own work; names the files.
    """
    _undo(folder)
    if force:
        return
    last = _last_written(folder)
    found = [folder / name for name in (f"{NAME}.pbip", f"{NAME}.pbids") if (folder / name).is_file()]
    for item in (MODEL_FOLDER, REPORT_FOLDER):
        found += sorted(path for path in (folder / item).rglob("*") if path.is_file() or path.is_symlink())
    own = []
    for path in found:
        name = path.relative_to(folder).as_posix()
        if name.split("/")[1:2] == [".pbi"] and path.name in _NOTES:
            continue
        now = {last.get(name), digest(files[name].encode()) if name in files else None}
        if not path.is_file() or digest(path.read_bytes()) not in now:
            own.append(name)
    if own:
        shown = ", ".join(own[:_SHOWN]) + (f" and {len(own) - _SHOWN} more" if len(own) > _SHOWN else "")
        raise UsageError(
            f"{folder} holds files that were changed or added since the project was last written, and was left as it "
            f"is: {shown}. Write the new project elsewhere with --out FOLDER, or replace these files, which loses "
            "them, with --force."
        )


def digest(content: bytes) -> str:
    """Hexadecimal SHA-256."""
    return hashlib.sha256(content).hexdigest()


# What the swap leaves when it is cut short says what to do: with _OLD it goes back, with _DONE only tidying is left.
_NEW, _OLD, _DONE = ".puntual-new", ".puntual-old", ".puntual-done"
_NOTES = {"localSettings.json", "editorSettings.json", "cache.abf"}
_SHOWN = 10
# The file that opens the project goes first and comes last: a project between two renames cannot be opened.
_PARTS = (f"{NAME}.pbip", f"{NAME}.pbids", VALIDATION, MODEL_FOLDER, REPORT_FOLDER)


def _swap(folder: Path) -> None:
    (folder / _OLD).mkdir()
    for part in _PARTS:
        if (folder / part).exists():
            (folder / part).replace(folder / _OLD / part)
    for part in reversed(_PARTS):
        if (folder / _NEW / part).exists():
            (folder / _NEW / part).replace(folder / part)
    (folder / _OLD).replace(folder / _DONE)


def _undo(folder: Path) -> None:
    """Put back what a swap that was cut short had moved away, and tidy what is left of it."""
    old, new = folder / _OLD, folder / _NEW
    if old.exists():
        for part in _PARTS:
            if (old / part).exists():
                _remove(folder / part)
                (old / part).replace(folder / part)
            elif not (new / part).exists():
                _remove(folder / part)  # there was none before: what stands there has just been moved in
        shutil.rmtree(old)
    for rest in (new, folder / _DONE):
        if rest.exists():
            shutil.rmtree(rest)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _last_written(folder: Path) -> Mapping[str, str]:
    """What ``validation.json`` says of the files that were last written; nothing when nobody can read it."""
    try:
        said = json.loads((folder / VALIDATION).read_text(encoding="utf-8"))["sha256"]
    except (OSError, ValueError, KeyError, TypeError):
        return {}
    return said if isinstance(said, dict) else {}


def _platform(kind: str, institution: str) -> dict[str, Any]:
    return {
        "$schema": f"{_HOST}/gitIntegration/platformProperties/2.0.0/schema.json",
        "metadata": {"type": kind, "displayName": f"{NAME} {institution}"},
        "config": {"version": "2.0", "logicalId": tag("platform", institution, kind)},
    }


def _pbids(source: SourceSettings) -> dict[str, Any]:
    """A connection for whoever would rather build a report of their own."""
    if source.source == "postgres":
        details = {"protocol": "postgresql", "address": {"server": source.server, "database": source.database}}
    else:
        details = {"protocol": "folder", "address": {"path": source.folder}}
    return {"version": "0.1", "connections": [{"details": details, "mode": "Import"}]}
