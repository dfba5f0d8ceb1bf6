"""Puts a finished day where readers see it: complete or not at all.

A snapshot is written beside the current one under a name made of its date and content, checked, and made current by one
rename of a link. A crash before that rename leaves yesterday's standing; a crash after it leaves the new one complete.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from puntual import disk
from puntual.errors import PublishError
from puntual.paths import Home
from puntual.snapshot import MANIFEST, Snapshot

_BUILDING = ".building-"

# Its pages carry no meaning of their own: the same tables may be laid out differently, so it does not name the content.
_NOT_CONTENT = {"published.duckdb"}


@dataclass(frozen=True)
class Publication:
    """What publishing did.

    Attributes:
        snapshot: the complete snapshot of the day.
        is_current: readers see it now; False when a newer business date is already published.
        is_new: False when the same content had been published before and nothing was written.
    """

    snapshot: Snapshot
    is_current: bool
    is_new: bool


def sha256_of(file: Path) -> str:
    """Hexadecimal SHA-256 of a file's bytes."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def publish(
    home: Home,
    as_of: date,
    fill: Callable[[Path], dict[str, Any]],
    *,
    run_id: str,
    keep: int,
    together_with: Callable[[str], AbstractContextManager[None]] | None = None,
) -> Publication:
    """Publish what ``fill`` writes into an empty folder; ``fill`` returns the manifest without its ``files``.

    Args:
        home: the institution's home.
        as_of: business date of the snapshot.
        fill: writes every file of the snapshot; an exception of it publishes nothing.
        run_id: names the folder under construction.
        keep: how many snapshots stay, the current one included; the current one and this one always do.
        together_with: given the snapshot's name, what must become visible at the moment when the link is flipped; an
            error in it leaves the link as it was.

    Raises:
        PublishError: the disk is full or the folder cannot be written; the previous snapshot still stands.
    """
    home.published.mkdir(parents=True, exist_ok=True)
    _remove(home.published.glob(f"{_BUILDING}*"))
    building = home.published / f"{_BUILDING}{run_id}"
    try:
        building.mkdir()
        manifest = fill(building)
        files = _digests(building)
        manifest = {**manifest, "files": files}
        target = home.published / f"{as_of.isoformat()}_{_content_name(as_of, manifest)}"
        is_new = not (target / MANIFEST).exists()
        if is_new:
            _write_json(building / MANIFEST, manifest)
            if target.exists():
                shutil.rmtree(target)  # a crash left it without a manifest: it was never published
            building.replace(target)
            disk.sync_folder(home.published)
    except OSError as error:
        _remove([building])
        raise PublishError(
            f"The snapshot of {as_of} could not be written to {home.published}: {error}. "
            "The previous one still stands; free space or mend the permissions and run the day again."
        ) from error
    except BaseException:
        _remove([building])
        raise
    _remove([building])
    with together_with(target.name) if together_with else nullcontext():
        is_current = _flip(home, target, as_of)
    _prune(home, keep, target)
    return Publication(Snapshot.at(target), is_current, is_new)


def verify(snapshot: Snapshot) -> list[str]:
    """Files of a snapshot that are absent or whose bytes are not those that were published; empty when it is whole."""
    problems = []
    for name, entry in sorted(snapshot.manifest["files"].items()):
        file = snapshot.folder / name
        if not file.exists():
            problems.append(f"{name}: absent")
        elif sha256_of(file) != entry["sha256"]:
            problems.append(f"{name}: altered")
    return problems


def _digests(folder: Path) -> dict[str, dict[str, Any]]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {
        path.relative_to(folder).as_posix(): {"sha256": sha256_of(path), "bytes": path.stat().st_size} for path in files
    }


def _content_name(as_of: date, manifest: dict[str, Any]) -> str:
    content = {name: entry["sha256"] for name, entry in manifest["files"].items() if name not in _NOT_CONTENT}
    named = [as_of.isoformat(), content, manifest.get("model_versions"), manifest.get("rule_versions")]
    return hashlib.sha256(json.dumps(named, sort_keys=True).encode()).hexdigest()[:12]


def _write_json(file: Path, content: dict[str, Any]) -> None:
    with file.open("w", encoding="utf-8") as stream:
        json.dump(content, stream, ensure_ascii=False, indent=2, sort_keys=True)
        stream.flush()
        os.fsync(stream.fileno())


def _flip(home: Home, target: Path, as_of: date) -> bool:
    """Make ``target`` current unless a newer business date already is."""
    if home.current.exists():
        current = Snapshot.at(home.current.resolve())
        if current.as_of_date > as_of:
            return False
        if current.folder == target.resolve():
            return True
    link = home.published / f".current-{os.getpid()}"
    link.unlink(missing_ok=True)
    link.symlink_to(target.name)
    link.replace(home.current)
    disk.sync_folder(home.published)
    return True


def _prune(home: Home, keep: int, target: Path) -> None:
    """Keep ``keep`` snapshots, among them the current one and ``target``.

    Then the newest business dates, one snapshot of each; a second content of a date stays only where there is room.
    """
    always = {home.current.resolve(), target.resolve()}
    folders = [path for path in home.published.iterdir() if path.is_dir() and not path.is_symlink()]
    ages = {path: (path.resolve() in always, *_age(path)) for path in folders}
    of_own_date: list[Path] = []
    repeated: list[Path] = []
    dates: set[date] = set()
    for path in sorted(folders, key=ages.__getitem__, reverse=True):
        must_stay, as_of, _ = ages[path]
        (of_own_date if must_stay or as_of not in dates else repeated).append(path)
        dates.add(as_of)
    _remove([*of_own_date, *repeated][max(keep, len(always)) :])


def _age(folder: Path) -> tuple[date, float]:
    """Business date of a snapshot, then when it was written; without a readable manifest older than any other."""
    try:
        return Snapshot.at(folder).as_of_date, (folder / MANIFEST).stat().st_mtime
    except (PublishError, KeyError, TypeError, ValueError):
        return date.min, 0.0


def _remove(folders: Iterable[Path]) -> None:
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)
