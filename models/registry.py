"""Trained models: one folder of files per version in the home, and an MLflow registry that says which is champion.

    <root>/<name>/<version>/   the model's files (LightGBM text and JSON), card.json, card.html, manifest.json
    <root>/registry.db         MLflow's store (SQLite): versions, tags, runs with parameters and metrics, aliases

The champion is the version to which MLflow's alias ``champion`` points: a decision, never "the newest folder". Moving
the alias is the one step that decides; the tags around it (status, reason, dates) are written before or after it so
that a crash at any point leaves the old decision or the new one. Loading refuses bytes other than those that were
registered. Files are written beside their place and moved there; nothing of a model is ever pickled.
"""

from __future__ import annotations

import builtins
import contextlib
import json
import logging
import math
import os
import shutil
from collections.abc import Mapping, Sequence
from datetime import date
from importlib import import_module
from importlib.metadata import version as library_version
from pathlib import Path
from typing import Any, Protocol

from models.artifacts import content_version, file_digest, json_bytes
from models.ledger import Entry, Ledger, Run
from models.provenance import git_commit
from puntual.errors import ModelError

CLASSES = {
    "default_risk": ("models.default_risk.score", "DefaultRiskModel", "models.default_risk.card"),
    "contact_channel": ("models.contact_channel.score", "ContactChannelModel", "models.contact_channel.card"),
    "kept_promise": ("models.kept_promise.score", "KeptPromiseModel", "models.kept_promise.card"),
    "recovery": ("models.recovery.score", "RecoveryModel", "models.recovery.card"),
    "willingness": ("models.willingness.model", "WillingnessModel", "models.willingness.card"),
}
"""Per model: module and class that read its files, and the module whose ``render`` makes the page of its card."""
SPECS = {
    "default_risk": ("models.features", "LOAN_FEATURES"),
    "contact_channel": ("models.features", "CUSTOMER_FEATURES"),
    "kept_promise": ("models.kept_promise.columns", "PROMISE_FEATURES"),
    "recovery": ("models.recovery.columns", "RECOVERY_FEATURES"),
}
"""The columns that a model reads: module and name of their :class:`models.features.FeatureSpec`."""
LIBRARIES = ("lightgbm", "numpy", "pandas", "scikit-learn", "scipy")
Rows = list[dict[str, Any]]
OLD_REGISTRY = "registry.json"
PENDING = "decision"
"""The tag that announces a decision until the statuses say it."""
CHAMPION, RETIRED, CHALLENGER, PAST = "champion", "retired", "challenger", "past"
"""``past``: chosen for the dates before the champion's own training, when one of them is run again."""
HELD = "held_since"
"""The tag of a champion that somebody went back to: the day of that decision."""
NEVER_HELD = frozenset({"willingness"})
"""What no hold would keep: each model keeps the willingness that it was trained with, and the next takes its own."""


log = logging.getLogger(__name__)


class StoredModel(Protocol):
    """What can be registered."""

    @property
    def name(self) -> str:
        """One of ``CLASSES``."""
        ...

    @property
    def trained_as_of(self) -> date:
        """The date up to which it was trained."""
        ...

    @property
    def card(self) -> dict[str, Any]:
        """What it was trained on and how good it is."""
        ...

    def to_files(self) -> dict[str, bytes]:
        """The model's files."""
        ...


class ModelRegistry:
    """The models of one institution under ``root`` (``HOME/artifacts/models``).

    Args:
        root: the folder of the models' files and, unless ``uri`` says otherwise, of the registry itself.
        uri: another MLflow store (setting ``registry.uri``); empty for the SQLite file under ``root``.
        prefix: put before the names of the models in that store (setting ``registry.prefix``).
    """

    def __init__(self, root: Path, uri: str = "", prefix: str = "") -> None:
        self.root = Path(root)
        self._ledger = Ledger(self.root, uri, prefix)

    def register(
        self,
        name: str,
        model: StoredModel,
        card: dict[str, Any] | None = None,
        files: Mapping[str, bytes] | None = None,
        label: Mapping[str, Any] | None = None,
    ) -> str:
        """Write the model with its card and return its version; a version that is there already is kept as it is.

        The version is a digest of the model's own files: what the manifest says of label and commit does not change it.

        Args:
            name: name of the model, such as ``default_risk``.
            model: the trained model.
            card: its card; the model's own when None.
            files: further files for the folder (they do not change the version).
            label: what its label means (:func:`models.provenance.label_definition`); None where nobody says.
        """
        _, _, card_module = _class_of(name)
        own = model.to_files()
        version = content_version(own)
        card = model.card if card is None else card
        everything = dict(files or {}) | own
        if card:
            everything["card.json"] = json_bytes(card)
            everything["card.html"] = import_module(card_module).render(card).encode()
        head = json.loads(own["model.json"])
        manifest = {
            "name": name,
            "version": version,
            "format": head["format"],
            "schema_hash": head.get("schema_hash"),
            "trained_as_of": model.trained_as_of,
            "features": _feature_rows(name),
            "as_of_range": _as_of_range(card),
            "metrics": _metrics(card),
            "label": None if label is None else dict(label),
            "git_commit": git_commit(),
            "libraries": {library: library_version(library) for library in LIBRARIES},
            "model_files": sorted(own),
            "files": {
                path: {"sha256": file_digest(content), "bytes": len(content)} for path, content in everything.items()
            },
        }
        everything["manifest.json"] = json_bytes(manifest)
        folder = self.root / name / version
        if (folder / "manifest.json").exists():
            self._read(name, version)
        else:
            self._write_folder(folder, everything)
        if not any(row["name"] == name and row["version"] == version for row in self._rows()):
            tags = {
                "version": version,
                "status": CHALLENGER,
                "reason": "registered",
                "trained_as_of": model.trained_as_of.isoformat(),
                "manifest_sha256": file_digest((folder / "manifest.json").read_bytes()),
            }
            self._ledger.add(name, tags, _run(manifest, head, card))
        return version

    def promote(self, name: str, version: str, reason: str, decided_on: date) -> None:
        """Make a registered version the champion; the champion before it is retired.

        A version trained on an earlier date than the champion's serves that past alone: the present stays as it is. A
        champion that a rollback holds is let go by promoting it: from then on the rule may replace it again.
        """
        rows = self._rows()
        chosen = self._row(rows, name, version)
        self._read(name, version)
        decision: dict[str, Any] = {"reason": reason, "decided_on": decided_on.isoformat(), HELD: None}
        if chosen["status"] == CHAMPION:
            if HELD in chosen:
                self._decide(self._entry(name, version), decision | {"place": chosen["place"]})
            return
        entry = self._entry(name, version)
        present = next((row for row in rows if row["name"] == name and row["status"] == CHAMPION), None)
        if present is not None and present["trained_as_of"] > chosen["trained_as_of"]:
            if chosen["status"] == CHALLENGER:
                self._ledger.tag(entry, {"reason": reason, "decided_on": decided_on.isoformat(), "status": PAST})
            return
        place = 1 + max((row.get("place", 0) for row in rows if row["name"] == name), default=0)
        self._decide(entry, decision | {"place": place})

    def decline(self, name: str, version: str, reason: str, decided_on: date) -> None:
        """Keep in the registry why a version was not promoted; one that was chosen before keeps its own reason."""
        if self._row(self._rows(), name, version)["status"] == CHALLENGER:
            self._ledger.tag(self._entry(name, version), {"reason": reason, "decided_on": decided_on.isoformat()})

    def rollback(self, name: str, decided_on: date, reason: str = "rollback") -> str:
        """Make the champion before the present one champion again and return its version.

        It is held (``held_since`` in its row) until somebody promotes it or another version: whoever trains asks
        :func:`hold_of` first, so that no rule undoes in silence what a person decided. ``NEVER_HELD`` is not.
        """
        rows = self._rows()
        present = self._champion_row(name)
        before = [
            r for r in rows if r["name"] == name and r["status"] == RETIRED and 0 < r.get("place", 0) < present["place"]
        ]
        if not before:
            raise ModelError(
                f"{name}: there is no earlier champion to go back to; the present one is {present['version']}."
            )
        chosen = max(before, key=lambda row: row["place"])
        self._read(name, chosen["version"])
        when = decided_on.isoformat()
        decision = {"reason": reason, "decided_on": when, "place": chosen["place"]}
        decision[HELD] = None if name in NEVER_HELD else when
        self._decide(self._entry(name, chosen["version"]), decision)
        return chosen["version"]

    def row_for(self, name: str, as_of: date | None = None) -> dict[str, Any] | None:
        """The registry row that is in force on ``as_of`` (None: now); None when there is none.

        1. The champion, when it was trained on or before the date.
        2. Else, of the versions that were champion before or were chosen for the past, the one trained last before it:
           a date is never scored by a model that has seen its future.
        """
        rows = [row for row in self._rows() if row["name"] == name]
        present = next((row for row in rows if row["status"] == CHAMPION), None)
        if as_of is None or (present is not None and present["trained_as_of"] <= as_of.isoformat()):
            return present
        known = [
            row
            for row in rows
            if row["trained_as_of"] <= as_of.isoformat()
            and (row["status"] == PAST or (row["status"] == RETIRED and row.get("place", 0) > 0))
        ]
        return max(known, key=lambda row: (row["trained_as_of"], row["decided_on"] or "", row["version"]), default=None)

    def champion(self, name: str, as_of: date | None = None) -> Any | None:
        """The model in force on ``as_of`` (None: now), loaded and with its bytes checked; None when there is none.

        Raises:
            ModelError: a file is missing or is not the one that was registered.
        """
        row = self.row_for(name, as_of)
        return self.load(name, row["version"]) if row else None

    def load(self, name: str, version: str) -> Any:
        """A registered version, loaded and with its bytes checked."""
        self._row(self._rows(), name, version)
        files, manifest = self._read(name, version)
        module, class_name, _ = _class_of(name)
        card = json.loads(files["card.json"]) if "card.json" in files else {}
        own = {path: files[path] for path in manifest["model_files"]}
        return getattr(import_module(module), class_name).from_files(own, card)

    def last_trained_on(self, name: str, as_of: date | None = None) -> date | None:
        """When the newest version, promoted or not, was trained; with ``as_of``, of those trained on or before it."""
        dates = [row["trained_as_of"] for row in self._rows() if row["name"] == name]
        known = [day for day in dates if as_of is None or day <= as_of.isoformat()]
        return date.fromisoformat(max(known)) if known else None

    def list(self, name: str | None = None) -> Rows:
        """The rows of the registry, in the order of registration."""
        return [row for row in self._rows() if name is None or row["name"] == name]

    def manifest(self, name: str, version: str) -> dict[str, Any]:
        """The manifest of a registered version, checked."""
        return self._read(name, version)[1]

    # --- decisions -----------------------------------------------------------------------------------------------

    def _decide(self, entry: Entry, decision: dict[str, Any]) -> None:
        """Announce the decision on the version, move the alias, then let every status follow.

        Before the alias moves the announcement means nothing; from then on it is in force, whether or not the statuses
        could still be written: :func:`_rows_of` reads them all from where the alias points.
        """
        self._ledger.tag(entry, {PENDING: json.dumps(decision, sort_keys=True, ensure_ascii=False)})
        self._ledger.choose(entry)
        entries = [one for one in self._entries() if one.model == entry.model]
        for one, row in zip(entries, _rows_of(entries), strict=True):
            self._ledger.tag(one, _settled(row))

    def _entry(self, name: str, version: str) -> Entry:
        return next(one for one in self._entries() if one.model == name and one.tags["version"] == version)

    def _entries(self) -> builtins.list[Entry]:
        if (self.root / OLD_REGISTRY).exists():
            self._take_over()
        return self._own_entries()

    def _own_entries(self) -> builtins.list[Entry]:
        return [one for one in self._ledger.entries() if {"version", "manifest_sha256"} <= one.tags.keys()]

    def _rows(self) -> Rows:
        entries = self._entries()
        rows: dict[tuple[str, str], dict[str, Any]] = {}
        for model in dict.fromkeys(one.model for one in entries):
            for row in _rows_of([one for one in entries if one.model == model]):
                rows[row["name"], row["version"]] = row
        found = [rows[one.model, one.tags["version"]] for one in entries]
        for row in found:
            _safe(row["name"])
            _safe(row["version"])
        return found

    def _take_over(self) -> None:
        """Bring the rows of a ``registry.json`` of an older release into MLflow, once.

        What a crash left undone is done the next time: versions that are there already are not added again, and the
        old file is put aside only at the end.
        """
        path = self.root / OLD_REGISTRY
        try:
            rows = json.loads(path.read_text(encoding="utf-8"))["models"]
            wanted = [(_safe(row["name"]), _safe(row["version"]), _old_tags(row)) for row in rows]
        except (ValueError, KeyError, TypeError) as error:
            raise ModelError(f"{path} is not a registry ({error}); restore it from a backup or train again.") from error
        known = {(one.model, one.tags["version"]) for one in self._own_entries()}
        for name, version, tags in wanted:
            if (name, version) not in known:
                self._ledger.add(name, tags, self._run_from_files(name, version))
                known.add((name, version))
        entries = self._own_entries()
        chosen = {one.model for one in entries if one.is_champion}
        for one in entries:
            if one.tags.get("status") == CHAMPION and one.model not in chosen:
                self._ledger.choose(one)
        path.replace(path.with_name(f"{OLD_REGISTRY}.migrated"))
        log.warning(
            "%s: %d versions were taken over into the MLflow registry %s; the old file stays as %s.migrated.",
            path,
            len(wanted),
            self._ledger.shown,
            OLD_REGISTRY,
        )

    def _run_from_files(self, name: str, version: str) -> Run:
        folder = self.root / name / version
        read: dict[str, Any] = {}
        for part in ("manifest.json", "model.json", "card.json"):
            with contextlib.suppress(OSError, ValueError):
                read[part] = json.loads((folder / part).read_bytes())
        manifest = {"name": name, "version": version} | read.get("manifest.json", {})
        return _run(manifest, read.get("model.json", {}), read.get("card.json", {}))

    def _row(self, rows: Rows, name: str, version: str) -> dict[str, Any]:
        for row in rows:
            if row["name"] == name and row["version"] == version:
                return row
        raise ModelError(f"{name}: version {version} is not registered under {self.root}; see `list`.")

    def _champion_row(self, name: str) -> dict[str, Any]:
        for row in self._rows():
            if row["name"] == name and row["status"] == CHAMPION:
                return row
        raise ModelError(f"{name}: there is no champion under {self.root}; train and promote one first.")

    # --- files ---------------------------------------------------------------------------------------------------

    def _write_folder(self, folder: Path, files: Mapping[str, bytes]) -> None:
        folder.parent.mkdir(parents=True, exist_ok=True)
        new = folder.with_name(f".{folder.name}.{os.getpid()}.new")
        with contextlib.suppress(FileNotFoundError):
            shutil.rmtree(new)
        new.mkdir()
        for name in sorted(files):
            _safe(name)
            with (new / name).open("wb") as handle:
                handle.write(files[name])
                handle.flush()
                os.fsync(handle.fileno())
        if folder.exists():  # left half-written by a crash of an older release; a whole one has its manifest
            shutil.rmtree(folder)
        new.replace(folder)

    def _read(self, name: str, version: str) -> tuple[dict[str, bytes], dict[str, Any]]:
        folder = self.root / _safe(name) / _safe(version)
        try:
            raw = (folder / "manifest.json").read_bytes()
            manifest = json.loads(raw)
            files = {path: (folder / _safe(path)).read_bytes() for path in manifest["files"]}
        except (OSError, ValueError, KeyError) as error:
            raise ModelError(f"{folder} cannot be read ({error}); restore it, roll back, or train again.") from error
        registered = [r for r in self._rows() if r["name"] == name and r["version"] == version]
        if registered and registered[0]["manifest_sha256"] != file_digest(raw):
            raise ModelError(
                f"{folder / 'manifest.json'} is not the one that was registered; roll back or train again."
            )
        for path, content in files.items():
            if file_digest(content) != manifest["files"][path]["sha256"]:
                raise ModelError(
                    f"{folder / path} differs from the file that was registered; roll back or train again."
                )
        if content_version({path: files[path] for path in manifest["model_files"]}) != version:
            raise ModelError(f"{folder} holds another model than version {version}; roll back or train again.")
        return files, manifest


def hold_of(row: Mapping[str, Any] | None) -> tuple[str, str] | None:
    """Why a training must leave this champion in force, in Spanish and English; None when it need not.

    >>> hold_of({"version": "ab12", "reason": "odd scores", "held_since": "2026-06-30"})[1]
    'Version ab12 was gone back to on 2026-06-30 (odd scores) and stays until it or another one is promoted by hand.'
    >>> hold_of({"version": "ab12", "reason": "better"}) is hold_of(None) is None
    True
    """
    if row is None or HELD not in row:
        return None
    what = {"version": row["version"], "since": row[HELD], "reason": row["reason"]}
    return (
        "Se volvió a la versión {version} el {since} ({reason}) y sigue hasta que alguien la apruebe a ella o a otra a "
        "mano.".format(**what),
        "Version {version} was gone back to on {since} ({reason}) and stays until it or another one is promoted by "
        "hand.".format(**what),
    )


def _safe(name: str) -> str:
    if not name or name.startswith(".") or "/" in name or "\\" in name or "\0" in name:
        raise ModelError(f"{name!r} is not a name that a file of the model registry can have.")
    return name


def _class_of(name: str) -> tuple[str, str, str]:
    if name not in CLASSES:
        raise ModelError(f"{name!r} is not a model; known are {sorted(CLASSES)}.")
    return CLASSES[name]


def _rows_of(entries: Sequence[Entry]) -> Rows:
    """The rows of one model, read from where the alias points; a tag that a crash left behind does not count."""
    places = {one.number: int(one.tags.get("place", 0)) for one in entries}
    champion = next((one for one in entries if one.is_champion), None)
    decision: dict[str, Any] = {}
    if champion is not None:
        decision = json.loads(champion.tags.get(PENDING, "{}"))
        place = decision.get("place") or places[champion.number] or 1 + max(places.values())
        decision["place"] = places[champion.number] = place
        if champion.tags["status"] != CHAMPION:
            decision.setdefault("reason", "chosen in MLflow")
    rows: Rows = []
    for one in entries:
        row: dict[str, Any] = {
            "name": one.model,
            "version": one.tags["version"],
            "status": one.tags["status"],
            "reason": one.tags["reason"],
            "decided_on": one.tags.get("decided_on"),
            "trained_as_of": one.tags["trained_as_of"],
            "manifest_sha256": one.tags["manifest_sha256"],
        }
        if "retired_on" in one.tags:
            row["retired_on"] = one.tags["retired_on"]
        if one is champion:
            row |= {HELD: one.tags.get(HELD)} | decision | {"status": CHAMPION}
            if row[HELD] is None:
                del row[HELD]
        elif row["status"] == CHAMPION:
            row["status"] = RETIRED
            if champion is not None:
                row["retired_on"] = decision.get("decided_on", champion.tags.get("decided_on"))
                if places[one.number] > places[champion.number]:
                    places[one.number] = 0  # rolled back: never gone back to
        if one is champion or "place" in one.tags or places[one.number]:
            row["place"] = places[one.number]
        rows.append(row)
    return rows


def _settled(row: dict[str, Any]) -> dict[str, str | None]:
    """The tags that say what a row says, in an order in which a crash between two of them changes no row."""
    tags: dict[str, str | None] = {"reason": row["reason"]}
    for key in ("decided_on", "retired_on", "place"):
        if row.get(key) is not None:
            tags[key] = str(row[key])
    return tags | {HELD: row.get(HELD), "status": row["status"], PENDING: None}


def _old_tags(row: Mapping[str, Any]) -> dict[str, str]:
    keys = ("version", "status", "reason", "trained_as_of", "manifest_sha256", "decided_on", "retired_on", "place")
    needed = {key: str(row[key]) for key in keys[:5]}
    return needed | {key: str(row[key]) for key in keys[5:] if row.get(key) is not None}


def _run(manifest: Mapping[str, Any], head: Mapping[str, Any], card: Mapping[str, Any]) -> Run:
    """What MLflow shows of a version: its settings, its numbers, the span of its data and the libraries."""
    name, version = manifest["name"], manifest["version"]
    first, last = (*(manifest.get("as_of_range") or ()), None, None)[:2]
    tags = {
        "model": name,
        "version": version,
        "format": manifest.get("format"),
        "schema_hash": manifest.get("schema_hash"),
        "trained_as_of": manifest.get("trained_as_of"),
        "first_date": first,
        "last_date": last,
        "kind": card.get("kind") or card.get("learner"),
        "git_commit": manifest.get("git_commit"),
    }
    tags |= {f"label.{key}": (manifest.get("label") or {}).get(key) for key in ("table", "sha256", "project_sha256")}
    tags |= {f"library.{library}": used for library, used in manifest.get("libraries", {}).items()}
    counts = {key: value for key, value in card.items() if isinstance(value, int)}
    counts |= {
        target: {key: value for key, value in entry.items() if isinstance(value, int)}
        for target, entry in card.get("targets", {}).items()
    }
    numbers = _flat(manifest.get("metrics", {})) | _flat(card.get("metrics", {})) | _flat(counts)
    return Run(
        name=f"{name}/{version}",
        parameters={key: str(value) for key, value in _flat(head.get("settings", {})).items()},
        metrics={
            key: float(value)
            for key, value in numbers.items()
            if isinstance(value, int | float) and math.isfinite(value)
        },
        tags={key: str(value) for key, value in tags.items() if value is not None},
    )


def _flat(data: Mapping[str, Any], before: str = "") -> dict[str, Any]:
    """Nested objects with one name for every leaf: ``{"a": {"b": 1}}`` is ``{"a/b": 1}``."""
    found: dict[str, Any] = {}
    for key, value in data.items():
        found |= _flat(value, f"{before}{key}/") if isinstance(value, Mapping) else {f"{before}{key}": value}
    return found


def _feature_rows(name: str) -> list[list[str]]:
    if name not in SPECS:
        return []
    module, attribute = SPECS[name]
    spec = getattr(import_module(module), attribute)
    return [[column.name, column.type, column.role] for column in spec.columns]


def _as_of_range(card: Mapping[str, Any]) -> list[Any]:
    if "default" in card.get("targets", {}):
        return [card["targets"]["default"].get("first_date"), card["targets"]["default"].get("last_date")]
    return [card.get("first_week"), card.get("last_week")]


def _metrics(card: Mapping[str, Any]) -> dict[str, Any]:
    if "targets" in card:
        return {name: entry.get("evaluation", {}).get("metrics", {}) for name, entry in card["targets"].items()}
    if "evaluation" not in card:
        return dict(card.get("metrics", {}))
    found = card["evaluation"]
    return {name: found[name] for name in ("value_per_member_week", "against_habit", "r_gain") if name in found}
