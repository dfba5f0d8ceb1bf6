"""One day of the log with everything that it was made from, as one file for another machine."""

from __future__ import annotations

import json
import os
import zipfile
from pathlib import Path

from puntual.audit.chain import ENTRY, AuditLog, Entry, read_entry
from puntual.audit.digests import sha256
from puntual.errors import AuditError
from puntual.paths import Home

_ABOUT = "pack.json"
_BEGINNING = (1980, 1, 1, 0, 0, 0)
"""Of every member, so that the same day packs to the same bytes."""


def pack(log: AuditLog, entry: Entry, file: Path) -> int:
    """Write the entry and its inputs to a ZIP that its owner alone can read; returns its size in bytes.

    Raises:
        AuditError: an input is missing or altered, or the file is there already.
    """
    if file.exists():
        raise AuditError(f"{file} is there already; name another one, or remove it.")
    archive, folder = log.archive(), log.folder_of(entry)
    names = sorted(log.inputs(entry).objects)
    missing = [name for name in names if not archive.place(name).exists()]
    if missing:
        raise AuditError(
            f"The inputs of {entry.as_of_date} are not kept any more ({len(missing)} of {len(names)} objects are "
            "missing): it can be explained, not replayed. See audit.keep_inputs_days in puntual.yaml."
        )
    file.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as stream, zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as target:
            about = {
                "entry": (log.place(entry) / ENTRY).relative_to(log.home.root).as_posix(),
                "sha256": _hash(folder / ENTRY),
            }
            _add(target, _ABOUT, json.dumps(about, indent=1).encode())
            for part in (ENTRY, *sorted(entry.files)):
                _add(
                    target,
                    f"{log.place(entry).relative_to(log.home.root).as_posix()}/{part}",
                    (folder / part).read_bytes(),
                )
            for name in names:
                _add(target, archive.place(name).relative_to(log.home.root).as_posix(), archive.read(name))
    except BaseException:
        file.unlink(missing_ok=True)
        raise
    return file.stat().st_size


def unpack(file: Path, folder: Path) -> tuple[AuditLog, Entry]:
    """A pack's day, laid out in ``folder`` as a home has it.

    Raises:
        AuditError: it is no pack, or its bytes are not those that were packed.
    """
    try:
        with zipfile.ZipFile(file) as source:
            about = json.loads(source.read(_ABOUT))
            for member in source.infolist():
                inside = Path(member.filename)
                if (
                    inside.is_absolute()
                    or ".." in inside.parts
                    or (inside.parts[0] != "audit" and str(inside) != _ABOUT)
                ):
                    raise AuditError(f"{file} is no pack of Puntual: it holds {member.filename}.")
                source.extract(member, folder)
    except (OSError, zipfile.BadZipFile, KeyError, ValueError) as error:
        raise AuditError(f"{file} cannot be read as a pack: {error}. Make it again: puntual audit pack") from error
    place = folder / str(about["entry"])
    log, entry = AuditLog(Home(folder)), read_entry(place)
    if _hash(place) != about["sha256"]:
        raise AuditError(f"{file} was altered: its entry is not the one that was packed.")
    return log, entry


def entry_hash(log: AuditLog, entry: Entry) -> str:
    """SHA-256 of an entry as it lies in the log."""
    return _hash(log.folder_of(entry) / ENTRY)


def _hash(file: Path) -> str:
    return sha256(file.read_bytes())


def _add(target: zipfile.ZipFile, name: str, content: bytes) -> None:
    target.writestr(zipfile.ZipInfo(name, _BEGINNING), content)
