"""Whether the log and its archive are, byte for byte, what was written; where not, which file, day and row."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import ValidationError

from puntual.audit.chain import ENTRY, FIRST, INPUTS, LOG, ROWS, AuditLog, Entry, File, Head, Inputs, read_entry
from puntual.audit.digests import ROW_BYTES, row_digests, sha256
from puntual.errors import PuntualError
from puntual.paths import Home
from puntual.publish import verify as verify_snapshot
from puntual.snapshot import MANIFEST, Snapshot

_NAMED_ROWS = 5
_SNAPSHOT_NAME = re.compile(r"\d{4}-\d\d-\d\d_[0-9a-f]{12}")
"""What a publication names its folder."""
_NAMED = re.compile(rb'"sha256": ?"([0-9a-f]{64})"')


@dataclass
class Verdict:
    """What :func:`verify` found.

    Attributes:
        problems: one line each, empty when everything is as it was written.
        notes: what is no damage: a publication under way, inputs that the retention removed.
        entries: links of the chain.
        days: business dates decided.
        head: hash of the last entry, to be kept where nobody of the institution can change it; None: nothing logged.
        log_bytes: size of the log.
        archive_bytes: size of the archived inputs.
    """

    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    entries: int = 0
    days: int = 0
    head: str | None = None
    log_bytes: int = 0
    archive_bytes: int = 0


def verify(home: Home, expected: str | None = None) -> Verdict:
    """Read every byte of the log and the archive, and hold it against the chain.

    Found: an altered, missing or added file, entries in another order, an entry that was slipped in, and in an altered
    table of decisions the rows. Whoever rewrites all entries from some day on, HEAD included, writes a chain that is
    sound in itself: that is found by ``expected``, a head that was noted elsewhere on an earlier day, and by a kept
    snapshot, whose manifest names the last entry before it. A log that is missing or empty is found by what was
    published; only days of a release without a log may stand without one.
    """
    log, verdict = AuditLog(home), Verdict()
    if not home.audit.exists():
        if not _published_unlogged(home, verdict):
            verdict.notes.append(f"{home.audit} does not exist: no day was logged yet.")
        if expected is not None:
            verdict.problems.append(f"The entry {expected} is not in the log: the log is missing.")
        return verdict
    head = _head(log, verdict)
    found = _links(log, verdict)
    chain = _chained(found, head, log, verdict)
    for folder, entry in chain:
        _files(folder, entry, verdict)
    _inputs(log, chain, verdict)
    _strangers(log, verdict)
    _snapshots(home, [entry for _, entry in chain], verdict)
    decided = [entry for _, entry in chain if entry.kind == "decision"]
    hashes = {sha256((folder / ENTRY).read_bytes()) for folder, _ in chain}
    if chain:
        _named_heads(home, hashes, {entry.snapshot for _, entry in chain}, verdict)
    else:
        _published_unlogged(home, verdict)
    if expected is not None and expected not in hashes:
        verdict.problems.append(
            f"The entry {expected} is not in the log: the log was rewritten since that hash was noted, or it is "
            "another institution's."
        )
    verdict.entries, verdict.days = len(chain), len({entry.as_of_date for entry in decided})
    verdict.head = head.sha256 if head else None
    verdict.log_bytes = _size(log.folder)
    verdict.archive_bytes = _size(log.archive().root)
    return verdict


def _size(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) if folder.exists() else 0


def _inside(log: AuditLog, file: Path) -> str:
    return file.relative_to(log.home.root).as_posix()


def _head(log: AuditLog, verdict: Verdict) -> Head | None:
    if not log.head_file.exists():
        if log.folder.exists() and any(log.folder.rglob(ENTRY)):
            verdict.problems.append(f"{_inside(log, log.head_file)}: missing; it names the last entry of the log.")
        return None
    try:
        content = log.head_file.read_bytes()
        head = Head.model_validate_json(content)
    except ValidationError:
        verdict.problems.append(f"{_inside(log, log.head_file)}: altered; it is no head of a chain.")
        return None
    if content != head.content():
        verdict.problems.append(f"{_inside(log, log.head_file)}: altered; it is not written as it was.")
    return head


def _links(log: AuditLog, verdict: Verdict) -> list[tuple[Path, Entry, str]]:
    """Folder, entry and hash of everything that looks like one, by sequence."""
    found = []
    folders = [file.parent for file in sorted(log.folder.glob(f"*/*/{ENTRY}"))] if log.folder.exists() else []
    waiting = log.pending / ENTRY
    if waiting.exists():
        folders.append(log.pending)
    for folder in folders:
        content = (folder / ENTRY).read_bytes()
        try:
            entry = Entry.model_validate_json(content)
        except ValidationError:
            verdict.problems.append(f"{_inside(log, folder / ENTRY)}: altered; it is no entry of the log.")
            continue
        found.append((folder, entry, sha256(content)))
    return sorted(found, key=lambda one: (one[1].sequence, one[0].as_posix()))


def _chained(
    found: list[tuple[Path, Entry, str]], head: Head | None, log: AuditLog, verdict: Verdict
) -> list[tuple[Path, Entry]]:
    """The entries that HEAD reaches, each named by the next; whatever does not fit is a problem."""
    chain: list[tuple[Path, Entry]] = []
    previous, expected = FIRST, 1
    for folder, entry, digest in found:
        name = _inside(log, folder / ENTRY)
        last = head.sequence if head else 0
        if folder == log.pending and entry.sequence == last + 1:
            verdict.notes.append(
                f"The publication of {entry.as_of_date} was begun and not finished; the next run settles it."
            )
            continue
        if folder != log.pending and folder != log.place(entry):
            verdict.problems.append(f"{name}: moved; it is the entry {entry.sequence} of {entry.as_of_date}.")
        if entry.sequence > last:
            verdict.problems.append(f"{name}: added; the log ends with the entry {last}.")
            continue
        if entry.sequence > expected:
            missing = ", ".join(str(number) for number in range(expected, entry.sequence))
            verdict.problems.append(f"{_inside(log, log.folder)}: missing or altered: the entries {missing}.")
        elif entry.sequence < expected:
            verdict.problems.append(f"{name}: added; there is another entry {entry.sequence}.")
            continue
        if entry.sequence == expected and entry.previous != previous:
            which = f"the entry {expected - 1}" if expected > 1 else "the beginning"
            verdict.problems.append(
                f"{name} ({entry.as_of_date}): altered or out of order: it does not follow {which} "
                f"(it names {entry.previous[:12]}…, that one is {previous[:12]}…)."
            )
        previous, expected = digest, entry.sequence + 1
        chain.append((folder, entry))
    if head is not None and expected <= head.sequence:
        missing = ", ".join(str(number) for number in range(expected, head.sequence + 1))
        verdict.problems.append(f"{_inside(log, log.folder)}: missing or altered: the entries {missing}.")
    elif head is not None and previous != head.sha256:
        name = _inside(log, chain[-1][0] / ENTRY) if chain else _inside(log, log.folder)
        verdict.problems.append(f"{name}: altered: its hash is not the one that HEAD.json names, or HEAD.json was.")
    return chain


def _files(folder: Path, entry: Entry, verdict: Verdict) -> None:
    home = folder.parents[3] if folder.name != "pending" else folder.parents[1]
    where = f" ({entry.as_of_date})"
    there = {file.name for file in folder.iterdir()}
    for name in sorted(there - {ENTRY} - set(entry.files)):
        verdict.problems.append(f"{(folder / name).relative_to(home).as_posix()}{where}: added.")
    for name, file in sorted(entry.files.items()):
        path = folder / name
        shown = path.relative_to(home).as_posix()
        if not path.is_file():
            verdict.problems.append(f"{shown}{where}: missing.")
        elif File.of(path.read_bytes()) != file:
            more = "; ".join(_rows(folder, entry)) if name == LOG else ""
            verdict.problems.append(f"{shown}{where}: altered{': ' + more if more else ''}.")


def _rows(folder: Path, entry: Entry) -> Iterator[str]:
    """Which rows of an altered table are not those that were logged."""
    digests = folder / ROWS
    if not digests.is_file() or File.of(digests.read_bytes()) != entry.files[ROWS]:
        yield "which rows cannot be said, for the file with their hashes was altered too"
        return
    logged = np.frombuffer(digests.read_bytes(), dtype=np.uint8).reshape(-1, ROW_BYTES)
    try:
        source = pq.ParquetFile(folder / LOG, page_checksum_verification=True)
        groups = [source.metadata.row_group(number).num_rows for number in range(source.metadata.num_row_groups)]
    except (pa.ArrowException, OSError, ValueError) as error:
        yield f"it cannot be opened as Parquet any more, so that no row of it counts ({_short(error)})"
        return
    if sum(groups) != len(logged):
        yield f"it has {sum(groups)} rows, logged were {len(logged)}"
    first, named = 0, 0
    for number, size in enumerate(groups):
        rows = f"rows {first + 1} to {first + size}"
        try:
            table = source.read_row_group(number)
            found = row_digests(table)
        except (pa.ArrowException, OSError, ValueError, PuntualError) as error:
            yield f"{rows} cannot be read ({_short(error)})"
        else:
            width = min(size, max(len(logged) - first, 0))
            other = np.flatnonzero((found[:width] != logged[first : first + width]).any(axis=1))
            people = table.column("customer_id").to_pylist() if "customer_id" in table.column_names else []
            for row in other[: max(_NAMED_ROWS - named, 0)]:
                who = f" (customer {people[row]})" if people else ""
                yield f"row {first + row + 1}{who} is not what was logged"
            if len(other) > max(_NAMED_ROWS - named, 0):
                yield f"{len(other)} rows of {rows} in all"
            named += len(other)
        first += size
    if not named and sum(groups) == len(logged):
        yield "the values that can be read are those that were logged; the bytes around them are not"


def _short(error: Exception) -> str:
    return " ".join(str(error).split())[:120]


def _inputs(log: AuditLog, chain: list[tuple[Path, Entry]], verdict: Verdict) -> None:
    """The archive: every object of a kept day with its bytes, and nothing else."""
    archive = log.archive()
    until = max((one.inputs_dropped_until for _, one in chain if one.inputs_dropped_until), default=date.min)
    wanted: dict[str, str] = {}
    for folder, entry in chain:
        if entry.kind != "decision" or entry.as_of_date <= until:
            continue
        try:
            content = (folder / INPUTS).read_bytes()
        except OSError:
            continue  # said already: the file is missing
        try:
            inputs = Inputs.model_validate_json(content)
        except ValidationError:
            if File.of(content) == entry.files.get(INPUTS):  # else it was altered, which is said already
                for name in set(_NAMED.findall(content)):
                    wanted.setdefault(name.decode(), f"named by the inputs of {entry.as_of_date}")
                verdict.notes.append(
                    f"{_inside(log, folder / INPUTS)} ({entry.as_of_date}): whole, but written by another release; its "
                    "day can be explained and not replayed with this one."
                )
            continue
        for group in (inputs.decision, inputs.lists):
            for name, frame in group.frames.items():
                first = 1
                for piece in frame.pieces:
                    rows = f"rows {first} to {first + piece.rows - 1}"
                    wanted.setdefault(piece.sha256, f"{name}, {rows}, of {entry.as_of_date}")
                    first += piece.rows
        for name, piece in inputs.own_files.items():
            wanted.setdefault(piece.sha256, f"{name} of {entry.as_of_date}")
    if until > date.min:
        verdict.notes.append(f"The inputs of the days up to {until} were removed, as the settings say.")
    there = archive.names()
    for name, where in sorted(wanted.items(), key=lambda one: one[1]):
        file = archive.place(name)
        if not file.is_file():
            verdict.problems.append(f"{_inside(log, file)} ({where}): missing.")
        elif sha256(file.read_bytes()) != name:
            verdict.problems.append(f"{_inside(log, file)} ({where}): altered.")
    unsettled = log.sweep_file.exists() or (log.pending / ENTRY).exists()
    for name, file in there.items():
        if file == archive.place(name) and name in wanted:
            continue
        if not unsettled:
            verdict.problems.append(f"{_inside(log, file)}: added; no entry of the log names it.")


def _strangers(log: AuditLog, verdict: Verdict) -> None:
    """Files below the log that belong to no entry."""
    for file in sorted(log.folder.rglob("*")) if log.folder.exists() else ():
        depth = len(file.relative_to(log.folder).parts)
        if file.is_file() and (depth != 3 or not (file.parent / ENTRY).exists()):
            verdict.problems.append(f"{_inside(log, file)}: added, or what is left of an entry that is missing.")


def _snapshots(home: Home, entries: list[Entry], verdict: Verdict) -> None:
    """The snapshots that are still kept are those that were logged."""
    for name, entry in {entry.snapshot: entry for entry in entries if entry.kind == "decision"}.items():
        folder = home.published / name
        if not folder.exists():
            continue
        manifest = folder / MANIFEST
        if not manifest.is_file() or File.of(manifest.read_bytes()) != entry.manifest:
            verdict.problems.append(f"published/{name}/{MANIFEST} ({entry.as_of_date}): altered or missing.")
            continue
        verdict.problems += [
            f"published/{name}/{line} ({entry.as_of_date})." for line in verify_snapshot(Snapshot.at(folder))
        ]
    if home.current.exists():
        current = home.current.resolve().name
        logged = {entry.snapshot for entry in entries}
        if (pending := AuditLog(home).pending / ENTRY).exists():
            logged.add(read_entry(pending).snapshot)
        begun = min((entry.as_of_date for entry in entries), default=None)
        if entries and begun is not None and current not in logged and current[:10] >= begun.isoformat():
            verdict.problems.append(f"published/current is {current}, which the log does not know.")


def _published(home: Home) -> dict[str, dict[str, Any] | None]:
    """Manifest of every snapshot that is kept, by its name; None where it cannot be read.

    A snapshot is what readers are shown, and what is named like one and has a manifest: other folders that lie beside
    them (``lost+found`` of a disk, a copy somebody made) are no publications.
    """
    found: dict[str, dict[str, Any] | None] = {}
    current = home.current.resolve() if home.current.exists() else None
    for folder in sorted(home.published.iterdir()) if home.published.exists() else ():
        if folder.is_symlink() or not folder.is_dir() or folder.name.startswith("."):
            continue
        is_named = _SNAPSHOT_NAME.fullmatch(folder.name) is not None and (folder / MANIFEST).is_file()
        if folder.resolve() != current and not is_named:
            continue
        try:
            manifest = Snapshot.at(folder).manifest
        except PuntualError:
            manifest = None
        found[folder.name] = manifest if isinstance(manifest, dict) else None
    return found


def _under_way(home: Home) -> str | None:
    """Name of the snapshot of a publication that is under way or was cut off."""
    pending = AuditLog(home).pending / ENTRY
    return read_entry(pending).snapshot if pending.exists() else None


def _published_unlogged(home: Home, verdict: Verdict) -> bool:
    """What was published although the log has no entry; whether anything was said.

    Readers see a snapshot only once its entry lies ready, so the current one was logged, and so was every day before
    one whose manifest counts entries. A manifest that says nothing of the log is of a release that had none.
    """
    kept, waiting = _published(home), _under_way(home)
    current = home.current.resolve().name if home.current.exists() else None
    older, lost = [], []
    for name, manifest in kept.items():
        if name == waiting:
            continue
        told = manifest.get("log") if manifest else None
        if manifest is None or "as_of_date" not in manifest:
            lost.append(name)
        elif told is None:
            older.append(name)
        elif name == current or told.get("entries"):
            lost.append(name)
    if lost:
        verdict.problems.append(
            f"{AuditLog(home).folder.relative_to(home.root).as_posix()}: missing or emptied: the log has no entry, and "
            f"published are {', '.join(lost[-_NAMED_ROWS:])}{_more(len(lost))}, which were logged."
        )
    if older:
        verdict.notes.append(
            f"Published before there was a log: {', '.join(older[-_NAMED_ROWS:])}{_more(len(older))}. "
            "The next run begins one."
        )
    return bool(lost or older)


def _more(count: int) -> str:
    return f" ({count} in all)" if count > _NAMED_ROWS else ""


def _named_heads(home: Home, hashes: set[str], logged: set[str], verdict: Verdict) -> None:
    """The entry that was the last when a kept snapshot was published is still in the chain."""
    waiting = _under_way(home)
    for name, manifest in _published(home).items():
        told = manifest.get("log") if manifest else None
        if not isinstance(told, dict):
            continue
        if told.get("head") is not None and told["head"] not in hashes:
            verdict.problems.append(
                f"published/{name} was published after the entry {told.get('entries')} ({told['head'][:12]}…), which "
                "is not in the log: the log was begun anew or rewritten."
            )
        elif name not in logged and name != waiting:
            verdict.notes.append(
                f"published/{name} is in no entry of the log: its publication was cut off before readers saw it, or "
                "the log was begun anew since."
            )
