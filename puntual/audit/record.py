"""Writes down what a day decided and from what, in the moment of its publication."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import pandas as pd

from puntual import clock
from puntual.audit.archive import write_private
from puntual.audit.arms import model_versions
from puntual.audit.chain import CONTEXT, FIRST, INPUTS, LOG, ROWS, AuditLog, Entry, File, Inputs, keep_to_owner
from puntual.audit.digests import canonical, code_digest, row_digests, sha256, software
from puntual.audit.inputs import Arguments, dump
from puntual.audit.log import VERSIONS, log_table, parquet_bytes
from puntual.decision.decide import decide
from puntual.errors import PublishError
from puntual.paths import Home
from puntual.settings import Settings
from puntual.snapshot import MANIFEST, Snapshot
from puntual.warehouse import Warehouse

_DECISION = "decision.json"


def keep_inputs(home: Home, as_of: date, arguments: Mapping[str, Any]) -> str:
    """Archive what :func:`decide` is called with, as a draft of the date; returns the digest of all of it."""
    log = AuditLog(home)
    keep_to_owner(home.audit)
    log.settle()
    shutil.rmtree(log.draft(as_of), ignore_errors=True)
    stored = dump(decide, arguments, log.archive(as_of))
    write_private(log.draft(as_of) / _DECISION, stored.model_dump_json().encode())
    return stored.digest


def own_files(home: Home, settings: Settings) -> list[str]:
    """The institution's own rules, templates and table of roads: their paths within the home, in order."""
    files = [file for file in home.policies.rglob("*") if file.is_file()]
    if settings.visits.distances:
        files.append(home.root / settings.visits.distances)
    return sorted(file.relative_to(home.root).as_posix() for file in files)


def redacted(settings: Settings) -> dict[str, Any]:
    """The settings as JSON, without passwords in addresses."""
    content: dict[str, Any] = settings.model_dump(mode="json")
    for part, key in (("warehouse", "url"), ("registry", "uri")):
        content[part][key] = Warehouse("postgres", content[part][key], None).safe_url
    return content


@dataclass
class Record:
    """What is written down about one publication, gathered while it is made."""

    log: AuditLog
    settings: Settings
    as_of: date
    run_id: str
    replayable: list[str] = field(default_factory=list)
    files: dict[str, bytes] = field(default_factory=dict)
    inputs: Inputs | None = None
    people: int = 0
    versions: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, home: Home, settings: Settings, as_of: date, run_id: str) -> Record:
        """Of a day that is about to be published; what a crash left of another one is put in order first."""
        log = AuditLog(home)
        log.settle()
        return cls(log, settings, as_of, run_id)

    def before(self) -> dict[str, Any]:
        """What the manifest says of the log as it is before this publication: its entries, first date and last hash.

        So a snapshot that is kept shows that there was a log, and which entry it must still contain.
        """
        head, entries = self.log.head(), self.log.entries()
        return {
            "entries": len(entries),
            "since": (entries[0].as_of_date if entries else self.as_of).isoformat(),
            "head": head.sha256 if head else None,
        }

    @contextmanager
    def made_again(self, folder: Path) -> Iterator[None]:
        """Files that the block writes into ``folder`` are those that a replay makes again."""
        before = {file for file in folder.rglob("*") if file.is_file()}
        yield
        made = {file for file in folder.rglob("*") if file.is_file()} - before
        self.replayable = sorted({*self.replayable, *(file.relative_to(folder).as_posix() for file in made)})

    def gather(
        self,
        decided: Mapping[str, pd.DataFrame],
        summary: Mapping[str, Any],
        models: Mapping[str, Any],
        reason_texts: Mapping[str, Mapping[str, str]],
        read: Mapping[str, pd.DataFrame],
        campaigns: pd.DataFrame | None = None,
    ) -> None:
        """Make the log's table and archive what the lists read.

        Args:
            decided: decisions, details, prices and second contacts as they are published.
            summary: figures of the decision; ``inputs_sha256`` is what :func:`keep_inputs` gave.
            models: version of every model, and its state.
            reason_texts: sentences of the reason codes, as the lists have them.
            read: what the lists read, by query.
            campaigns: who is in which campaign of the day, and what becomes of the message.

        Raises:
            PublishError: the decision's inputs are not archived.
        """
        archive = self.log.archive(self.as_of)
        decision = self._decision_inputs(str(summary.get("inputs_sha256", "")))
        lists = {key: archive.put(frame) for key, frame in sorted(read.items())}
        own = {
            name: archive.put_bytes((self.log.home.root / name).read_bytes())
            for name in own_files(self.log.home, self.settings)
        }
        self.inputs = Inputs(decision=decision, lists=Arguments(frames=lists, values={}), own_files=own)
        settings = redacted(self.settings)
        self.versions = {
            "code_sha256": code_digest(),
            "software": software(),
            "models": {name: entry["version"] for name, entry in sorted(models.items())},
            "rules": summary.get("rule_versions", {}),
            "settings_sha256": sha256(canonical(settings)),
            "inputs_sha256": decision.digest,
        }
        table = log_table(
            decided["decisions"],
            decided["details"],
            {
                **{name: self.versions[name] for name in VERSIONS if name in self.versions},
                "model_versions": self.versions["models"],
                "rules_sha256": sha256(canonical(self.versions["rules"])),
            },
            decided["second_contacts"],
            self.settings.decision.second_after,
            campaigns,
            model_versions(decided["decisions"], self.versions["models"], summary),
        )
        self.people = table.num_rows
        context = {
            "settings": settings,
            "rules": decision.values["policies"]["rules"],
            "reason_texts": {code: dict(texts) for code, texts in reason_texts.items()},
            "prices": _records(decided["prices"]),
            "summary": dict(summary),
            "models": dict(models),
        }
        self.files = {
            LOG: parquet_bytes(table),
            ROWS: row_digests(table).tobytes(),
            INPUTS: self.inputs.model_dump_json().encode(),
            CONTEXT: canonical(context),
        }

    def _decision_inputs(self, digest: str) -> Arguments:
        """What the decision in the warehouse was made from: of this run, or of the entry that holds for the day."""
        draft = self.log.draft(self.as_of) / _DECISION
        if draft.exists():
            stored = Arguments.model_validate_json(draft.read_bytes())
            if stored.digest == digest:
                return stored
        for entry in reversed(self.log.entries()):
            if entry.kind == "decision" and entry.as_of_date == self.as_of:
                stored = self.log.inputs(entry).decision
                if stored.digest == digest:
                    return stored
        raise PublishError(
            f"The inputs of the decision of {self.as_of} are not archived, so that it could not be made again. "
            f"Run the whole day: puntual run {self.log.home.root} --as-of {self.as_of}"
        )

    @contextmanager
    def committed(self, snapshot_name: str) -> Iterator[None]:
        """Append the entry of the snapshot in the moment when the block makes it visible; none if it fails.

        A publication that repeats the entry in force adds nothing.
        """
        snapshot = Snapshot.at(self.log.home.published / snapshot_name)
        entry = self._entry(snapshot)
        if entry is None:
            yield
        else:
            assert self.inputs is not None
            self.log.prepare(entry, self.files, self.inputs.objects, self.log.archive(self.as_of))
            try:
                yield
            except BaseException:
                self.log.settle()
                raise
            self.log.commit()
        shutil.rmtree(self.log.draft(self.as_of), ignore_errors=True)
        self._keep_to_retention()

    def _entry(self, snapshot: Snapshot) -> Entry | None:
        published = {
            name: File(sha256=one["sha256"], size=one["bytes"]) for name, one in snapshot.manifest["files"].items()
        }
        content = {name: one.sha256 for name, one in published.items() if name != "published.duckdb"}
        log = sha256(self.files[LOG])
        identity = sha256(canonical({"published": content, "versions": self.versions, "log": log}))
        mine = [one for one in self.log.entries() if one.kind == "decision" and one.as_of_date == self.as_of]
        if mine and mine[-1].identity == identity:
            return None
        head = self.log.head()
        return Entry(
            kind="decision",
            sequence=head.sequence + 1 if head else 1,
            previous=head.sha256 if head else FIRST,
            as_of_date=self.as_of,
            recorded_at=clock.now_utc().isoformat() + "Z",
            run_id=self.run_id,
            replaces=mine[-1].sequence if mine else None,
            identity=identity,
            snapshot=snapshot.folder.name,
            manifest=File.of((snapshot.folder / MANIFEST).read_bytes()),
            published=published,
            replayable=tuple(self.replayable),
            files={name: File.of(content) for name, content in self.files.items()},
            people=self.people,
            versions=self.versions,
        )

    def _keep_to_retention(self) -> None:
        newest = max((one.as_of_date for one in self.log.entries()), default=self.as_of)
        until = self.log.due_retention(newest, self.settings.audit.keep_inputs_days)
        if self.as_of <= self.log.dropped_until():
            self.log.sweep()  # an old day, run again: what it was made from is not kept
        if until is not None:
            moment = clock.now_utc().isoformat() + "Z"
            self.log.drop_inputs(until, newest=newest, run_id=self.run_id, recorded_at=moment)


def _records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    records: list[dict[str, Any]] = json.loads(frame.to_json(orient="records", date_format="iso", double_precision=15))
    return records
