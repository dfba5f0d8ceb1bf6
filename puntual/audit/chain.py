"""The log on the disk: entries that name the one before by its hash, appended in the moment of publication.

    audit/HEAD.json                     sequence and hash of the last entry
    audit/log/<date>/<sequence>/        entry.json, decisions.parquet, rows.sha256, inputs.json, context.json
    audit/archive/<xx>/<sha256>         what the decisions were made from
    audit/drafts/<date>/                what a run has archived so far; no part of the log
    audit/pending/                      the entry of a publication that is under way

An entry becomes part of the chain when HEAD names it, and HEAD names it once its snapshot is visible. Whatever a crash
leaves, :meth:`AuditLog.settle` finishes or takes back, by what readers see.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError

from puntual import disk
from puntual.audit.archive import Archive, Piece, write_private
from puntual.audit.digests import canonical, code_digest, sha256, software
from puntual.audit.inputs import Arguments
from puntual.errors import AuditError, PublishError
from puntual.paths import Home
from puntual.snapshot import MANIFEST, Snapshot
from puntual.strict import Strict

ENTRY = "entry.json"
LOG = "decisions.parquet"
ROWS = "rows.sha256"
INPUTS = "inputs.json"
CONTEXT = "context.json"
FIRST = "0" * 64
"""What the first entry has for the one before."""
_SHOWN = 12


class File(Strict):
    """SHA-256 of a file and its size in bytes."""

    sha256: str
    size: int

    @classmethod
    def of(cls, content: bytes) -> File:
        """Of what is or will be in the file."""
        return cls(sha256=sha256(content), size=len(content))


class Head(Strict):
    """The last entry of the chain."""

    sequence: int
    sha256: str

    def content(self) -> bytes:
        """The bytes of ``HEAD.json``."""
        return canonical(self.model_dump())


class Entry(Strict):
    """One link. Its hash is the SHA-256 of ``entry.json``.

    ``decision``: a published day. ``replaces`` is the entry of the same day that was in force before; the last entry of
    a day is the one in force. ``identity`` is the SHA-256 of all that a second run of the day would have to repeat to
    be the same. ``retention``: the inputs of the days up to ``inputs_dropped_until`` were removed, as the settings say.
    """

    format: Literal["puntual-audit/1"] = "puntual-audit/1"
    kind: Literal["decision", "retention"]
    sequence: int
    previous: str
    as_of_date: date
    recorded_at: str
    run_id: str
    replaces: int | None = None
    identity: str = ""
    snapshot: str = ""
    manifest: File | None = None
    published: dict[str, File] = Field(default_factory=dict)
    replayable: tuple[str, ...] = ()
    files: dict[str, File] = Field(default_factory=dict)
    people: int = 0
    versions: dict[str, Any] = Field(default_factory=dict)
    inputs_dropped_until: date | None = None

    def content(self) -> bytes:
        """The bytes of ``entry.json``."""
        text = json.dumps(self.model_dump(mode="json"), ensure_ascii=False, indent=1, sort_keys=True)
        return f"{text}\n".encode()


class Inputs(Strict):
    """What a decision and its lists were made from."""

    decision: Arguments
    lists: Arguments
    """Frames by the query that read them; no values."""
    own_files: dict[str, Piece]
    """The institution's own files that the lists read, by their path within the home."""

    @property
    def objects(self) -> set[str]:
        """Names of the archived objects."""
        return self.decision.objects | self.lists.objects | {one.sha256 for one in self.own_files.values()}

    def sizes(self) -> dict[str, int]:
        """Bytes of every archived object by its name."""
        frames = [*self.decision.frames.values(), *self.lists.frames.values()]
        pieces = [*(piece for frame in frames for piece in frame.pieces), *self.own_files.values()]
        return {one.sha256: one.size for one in pieces}


@dataclass(frozen=True)
class AuditLog:
    """The log of one home."""

    home: Home

    @property
    def head_file(self) -> Path:
        """The name of the last entry."""
        return self.home.audit / "HEAD.json"

    @property
    def folder(self) -> Path:
        """All entries, by date and sequence."""
        return self.home.audit / "log"

    @property
    def pending(self) -> Path:
        """The entry of a publication under way."""
        return self.home.audit / "pending"

    @property
    def sweep_file(self) -> Path:
        """There while objects that no day needs are being removed."""
        return self.home.audit / ".sweeping"

    def draft(self, as_of: date) -> Path:
        """What a run of ``as_of`` has archived and nobody has published yet."""
        return self.home.audit / "drafts" / as_of.isoformat()

    def archive(self, as_of: date | None = None) -> Archive:
        """The archive; with a date, open for what a run of it puts in."""
        return Archive(self.home.audit / "archive", self.draft(as_of) / "objects" if as_of else None)

    def head(self) -> Head | None:
        """The last entry's sequence and hash; None before the first.

        Raises:
            AuditError: the file is damaged, or is missing although there are entries.
        """
        if not self.head_file.exists():
            if self.folder.exists() and any(self.folder.iterdir()):
                raise AuditError(f"{self.head_file} is missing, but there are entries. Run: puntual audit verify HOME")
            return None
        try:
            return Head.model_validate_json(self.head_file.read_bytes())
        except ValidationError as error:
            raise AuditError(f"{self.head_file} was altered: it is no head of a chain.") from error

    def place(self, entry: Entry) -> Path:
        """The folder of an entry."""
        return self.folder / entry.as_of_date.isoformat() / f"{entry.sequence:06d}"

    def entries(self) -> list[Entry]:
        """Every entry that HEAD reaches, oldest first; hashes are not checked (:mod:`puntual.audit.verify` does).

        Raises:
            AuditError: one cannot be read or is missing.
        """
        head = self.head()
        found: dict[int, Entry] = {}
        for file in sorted(self.folder.glob(f"*/*/{ENTRY}")):
            entry = read_entry(file)
            found[entry.sequence] = entry
        if head is not None and head.sequence not in found and (self.pending / ENTRY).exists():
            waiting = read_entry(self.pending / ENTRY)  # a crash between the last two steps
            found[waiting.sequence] = waiting
        count = 0 if head is None else head.sequence
        if missing := [number for number in range(1, count + 1) if number not in found]:
            raise AuditError(f"The log lacks the entries {missing}. Run: puntual audit verify HOME")
        return [found[number] for number in range(1, count + 1)]

    def in_force(self, as_of: date) -> Entry:
        """The entry that holds for a day.

        Raises:
            AuditError: nothing was logged for it; names the days that were.
        """
        decided = [entry for entry in self.entries() if entry.kind == "decision"]
        mine = [entry for entry in decided if entry.as_of_date == as_of]
        if not mine:
            days = sorted({entry.as_of_date.isoformat() for entry in decided})
            known = f"from {days[0]} to {days[-1]} ({len(days)} days)" if days else "no day yet"
            raise AuditError(f"The log has no decision of {as_of}; it has {known}.")
        return mine[-1]

    def newest(self) -> Entry:
        """The entry in force of the newest day.

        Raises:
            AuditError: nothing was logged yet.
        """
        days = [entry.as_of_date for entry in self.entries() if entry.kind == "decision"]
        if not days:
            raise AuditError(f"Nothing is logged in {self.home.root} yet. Run a day: puntual run HOME --as-of DATE")
        return self.in_force(max(days))

    def folder_of(self, entry: Entry) -> Path:
        """Where the files of an entry are now."""
        place = self.place(entry)
        return place if place.exists() else self.pending

    def inputs(self, entry: Entry) -> Inputs:
        """What the decision was made from, as references into the archive.

        Raises:
            AuditError: the file was altered, or is of a release that wrote it in another form.
        """
        return self._read_inputs(entry, self.folder_of(entry) / INPUTS, self._checked(entry, INPUTS))

    @staticmethod
    def _read_inputs(entry: Entry, file: Path, content: bytes) -> Inputs:
        try:
            return Inputs.model_validate_json(content)
        except ValidationError as error:
            what = "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors())
            raise AuditError(of_another_release(entry, str(file), what)) from error

    def context(self, entry: Entry) -> dict[str, Any]:
        """Settings, rules, sentences, prices and figures of the day.

        Raises:
            AuditError: the file was altered.
        """
        context: dict[str, Any] = json.loads(self._checked(entry, CONTEXT))
        return context

    def log_file(self, entry: Entry) -> Path:
        """The table of the day, checked.

        Raises:
            AuditError: it was altered.
        """
        self._checked(entry, LOG)
        return self.folder_of(entry) / LOG

    def _checked(self, entry: Entry, name: str) -> bytes:
        file = self.folder_of(entry) / name
        try:
            content = file.read_bytes()
        except OSError as error:
            raise AuditError(f"{file} cannot be read: {error.strerror}. Run: puntual audit verify HOME") from error
        if sha256(content) != entry.files[name].sha256:
            raise AuditError(f"{file} was altered. What and where: puntual audit verify HOME")
        return content

    # ---------------------------------------------------------------- appending

    def prepare(self, entry: Entry, files: Mapping[str, bytes], objects: Iterable[str], archive: Archive) -> None:
        """Put everything of an entry on the disk, its archived objects too, so that naming it is all that is left."""
        self.discard()
        keep_to_owner(self.home.audit)
        building = self.home.audit / f".building-{entry.sequence}"
        shutil.rmtree(building, ignore_errors=True)
        for name, content in files.items():
            write_private(building / name, content)
        write_private(building / ENTRY, entry.content())
        disk.sync_folder(building)
        building.replace(self.pending)
        disk.sync_folder(self.home.audit)
        archive.take_over(objects)

    def commit(self) -> Entry:
        """Name the pending entry as the last of the chain, and put it with the others."""
        entry = read_entry(self.pending / ENTRY)
        head = Head(sequence=entry.sequence, sha256=sha256((self.pending / ENTRY).read_bytes()))
        waiting = self.home.audit / ".HEAD.json"
        write_private(waiting, head.content())
        waiting.replace(self.head_file)
        disk.sync_folder(self.home.audit)
        place = self.place(entry)
        place.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.pending.replace(place)
        disk.sync_folder(place.parent)
        return entry

    def discard(self) -> None:
        """Take back the entry of a publication that did not happen; what it brought into the archive is draft again."""
        if not (self.pending / ENTRY).exists():
            shutil.rmtree(self.pending, ignore_errors=True)
            return
        entry = read_entry(self.pending / ENTRY)
        if entry.kind == "decision":
            needed, archive = self.live_objects(), self.archive(entry.as_of_date)
            file = self.pending / INPUTS
            for name in self._read_inputs(entry, file, file.read_bytes()).objects - needed:
                archive.give_back(name)
        shutil.rmtree(self.pending)

    def settle(self) -> Entry | None:
        """Finish or take back what a crash left, by what readers see; the entry that was finished, if one was.

        Called before anything is appended, with the home's lock held.
        """
        for left in self.home.audit.glob(".building-*"):
            shutil.rmtree(left, ignore_errors=True)
        if self.sweep_file.exists():
            self.sweep()
        if not (self.pending / ENTRY).exists():
            shutil.rmtree(self.pending, ignore_errors=True)
            return None
        entry = read_entry(self.pending / ENTRY)
        head = self.head()
        named = head is not None and head.sequence == entry.sequence
        if not named and not self._is_visible(entry):
            self.discard()
            return None
        archive = self.archive(entry.as_of_date)
        if entry.kind == "decision":
            file = self.pending / INPUTS
            archive.take_over(self._read_inputs(entry, file, file.read_bytes()).objects)
        return self.commit()

    def _is_visible(self, entry: Entry) -> bool:
        """Whether the publication of a pending entry happened: readers see it, or a newer date that came before it."""
        if entry.kind == "retention":
            return True
        target = self.home.published / entry.snapshot
        if not (target / MANIFEST).exists() or not self.home.current.exists():
            return False
        try:
            current = Snapshot.at(self.home.current.resolve())
        except PublishError:
            return False
        return current.folder == target.resolve() or current.as_of_date > entry.as_of_date

    # ---------------------------------------------------------------- keeping

    def live_objects(self) -> set[str]:
        """Names of the archived objects that a day needs whose inputs are kept."""
        until = self.dropped_until()
        needed: set[str] = set()
        for entry in self.entries():
            if entry.kind == "decision" and entry.as_of_date > until:
                needed |= self.inputs(entry).objects
        return needed

    def dropped_until(self) -> date:
        """The last day whose inputs the retention removed; the first date there is when it removed none."""
        return max((one.inputs_dropped_until for one in self.entries() if one.inputs_dropped_until), default=date.min)

    def sweep(self) -> int:
        """Remove what no day needs any more from the archive; returns how many objects went."""
        write_private(self.sweep_file, b"")  # a crash from here on leaves objects that the next run removes
        needed = self.live_objects()
        gone = [file for name, file in self.archive().names().items() if name not in needed]
        for file in gone:
            file.unlink()
        self.sweep_file.unlink(missing_ok=True)
        return len(gone)

    def drop_inputs(self, until: date, *, newest: date, run_id: str, recorded_at: str) -> Entry:
        """Write down that the inputs of the days up to ``until`` go, then remove them."""
        head = self.head()
        entry = Entry(
            kind="retention",
            sequence=head.sequence + 1 if head else 1,
            previous=head.sha256 if head else FIRST,
            as_of_date=newest,
            recorded_at=recorded_at,
            run_id=run_id,
            inputs_dropped_until=until,
        )
        self.prepare(entry, {}, (), self.archive())
        write_private(self.sweep_file, b"")
        self.commit()
        self.sweep()
        return entry

    def due_retention(self, newest: date, keep_days: int | None) -> date | None:
        """Up to which day inputs are to be dropped that have not been; None: none are."""
        if keep_days is None:
            return None
        until = newest - timedelta(days=keep_days)
        already = self.dropped_until()
        due = [one.as_of_date for one in self.entries() if one.kind == "decision" and already < one.as_of_date <= until]
        return max(due, default=None)


def read_entry(file: Path) -> Entry:
    """An entry as it is written.

    Raises:
        AuditError: it is no entry.
    """
    try:
        written = file.stat()
        return _read_entry(file, written.st_mtime_ns, written.st_size, written.st_ino)
    except (OSError, ValidationError) as error:
        raise AuditError(f"{file} was altered: it is no entry of the log. Run: puntual audit verify HOME") from error


@lru_cache(maxsize=4096)
def _read_entry(file: Path, *written: int) -> Entry:  # noqa: ARG001 - a file that was written again is another one
    return Entry.model_validate_json(file.read_bytes())


def of_another_release(entry: Entry, where: str, what: str) -> str:
    """The text of an error: something of ``entry`` is in another form than this release has; where, why, what to do."""
    made = entry.versions
    theirs = (
        f"puntual {made.get('software', {}).get('puntual', '?')}, code {str(made.get('code_sha256', '?'))[:_SHOWN]}"
    )
    ours = f"puntual {software().get('puntual', '?')}, code {code_digest()[:_SHOWN]}"
    return (
        f"{where}, entry {entry.sequence} of {entry.as_of_date}, is not in the form that this release reads: {what}. "
        f"It was written by {theirs}; this is {ours}. Read that day with the release that wrote it; or run it again "
        f"with this one, which appends an entry that it can read: puntual run HOME --as-of {entry.as_of_date}"
    )


@contextmanager
def as_archived(entry: Entry) -> Iterator[None]:
    """A block that works on what another release archived: what it lacks is told as that, and not as a defect.

    Raises:
        AuditError: a value or column is missing or of another kind, and other code than this wrote it.
    """
    try:
        yield
    except (KeyError, ValidationError) as error:
        if entry.versions.get("code_sha256") == code_digest():
            raise
        what = "; ".join(str(error).split("\n")[:3])
        raise AuditError(of_another_release(entry, "What was archived", what)) from error


def keep_to_owner(folder: Path) -> None:
    """Make a folder that nobody else may enter: the archive names people."""
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
