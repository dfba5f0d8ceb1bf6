"""Trained models on disk: one folder per version, one file that says which version is the champion.

    <root>/<name>/<version>/   the model's files (LightGBM text and JSON), card.json, card.html, manifest.json
    <root>/registry.json       rows of decisions: name, version, status, reason, decided_on, trained_as_of

A champion is a decision, never "the newest folder". Loading refuses bytes other than those that were registered.
Everything is written beside its place and moved there, so that a crash leaves the old state or the new one.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Mapping
from datetime import date
from importlib import import_module
from importlib.metadata import version as library_version
from pathlib import Path
from typing import Any, Protocol

from models.artifacts import content_version, file_digest, json_bytes
from puntual.errors import ModelError

CLASSES = {
    "default_risk": ("models.default_risk.score", "DefaultRiskModel", "models.default_risk.card"),
    "contact_channel": ("models.contact_channel.score", "ContactChannelModel", "models.contact_channel.card"),
    "willingness": ("models.willingness.model", "WillingnessModel", "models.willingness.card"),
}
LIBRARIES = ("lightgbm", "numpy", "pandas", "scikit-learn", "scipy")
Rows = list[dict[str, Any]]
CHAMPION, RETIRED, CHALLENGER, PAST = "champion", "retired", "challenger", "past"
"""``past``: chosen for the dates before the champion's own training, when one of them is run again."""


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
    """The models of one institution under ``root`` (``HOME/artifacts/models``)."""

    def __init__(self, root: Path) -> None:
        self.root = Path(root)

    def register(
        self,
        name: str,
        model: StoredModel,
        card: dict[str, Any] | None = None,
        files: Mapping[str, bytes] | None = None,
    ) -> str:
        """Write the model with its card and return its version; a version that is there already is kept as it is.

        Args:
            name: ``default_risk`` or ``contact_channel``.
            model: the trained model.
            card: its card; the model's own when None.
            files: further files for the folder (they do not change the version).
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
            "schema_hash": head["schema_hash"],
            "trained_as_of": model.trained_as_of,
            "features": _feature_rows(name),
            "as_of_range": _as_of_range(card),
            "metrics": _metrics(card),
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
        rows = self._rows()
        if not any(row["name"] == name and row["version"] == version for row in rows):
            rows.append(
                {
                    "name": name,
                    "version": version,
                    "status": CHALLENGER,
                    "reason": "registered",
                    "decided_on": None,
                    "trained_as_of": model.trained_as_of.isoformat(),
                    "manifest_sha256": file_digest((folder / "manifest.json").read_bytes()),
                }
            )
            self._write_rows(rows)
        return version

    def promote(self, name: str, version: str, reason: str, decided_on: date) -> None:
        """Make a registered version the champion; the champion before it is retired.

        A version trained on an earlier date than the champion's serves that past alone: the present stays as it is.
        """
        rows = self._rows()
        chosen = self._row(rows, name, version)
        self._read(name, version)
        if chosen["status"] == CHAMPION:
            return
        present = next((row for row in rows if row["name"] == name and row["status"] == CHAMPION), None)
        if present is not None and present["trained_as_of"] > chosen["trained_as_of"]:
            if chosen["status"] == CHALLENGER:
                chosen |= {"status": PAST, "reason": reason, "decided_on": decided_on.isoformat()}
                self._write_rows(rows)
            return
        for row in rows:
            if row["name"] == name and row["status"] == CHAMPION:
                row["status"] = RETIRED
                row["retired_on"] = decided_on.isoformat()
        chosen |= {"status": CHAMPION, "reason": reason, "decided_on": decided_on.isoformat()}
        chosen["place"] = 1 + max((row.get("place", 0) for row in rows if row["name"] == name), default=0)
        self._write_rows(rows)

    def rollback(self, name: str, decided_on: date, reason: str = "rollback") -> str:
        """Make the champion before the present one champion again and return its version."""
        rows = self._rows()
        present = self._champion_row(name)
        before = [
            r for r in rows if r["name"] == name and r["status"] == RETIRED and 0 < r.get("place", 0) < present["place"]
        ]
        if not before:
            raise ModelError(
                f"{name}: there is no earlier champion to go back to; the present one is {present['version']}."
            )
        version = max(before, key=lambda row: row["place"])["version"]
        self._read(name, version)
        for row in rows:
            if row["name"] == name and row["version"] == present["version"]:
                row |= {"status": RETIRED, "retired_on": decided_on.isoformat(), "place": 0}
            elif row["name"] == name and row["version"] == version:
                row |= {"status": CHAMPION, "reason": reason, "decided_on": decided_on.isoformat()}
        self._write_rows(rows)
        return version

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
        return max(known, key=lambda row: (row["trained_as_of"], row["decided_on"], row["version"]), default=None)

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

    # --- files ---------------------------------------------------------------------------------------------------

    def _rows(self) -> Rows:
        path = self.root / "registry.json"
        if not path.exists():
            return []
        try:
            rows = json.loads(path.read_text(encoding="utf-8"))["models"]
        except (ValueError, KeyError, TypeError) as error:
            raise ModelError(f"{path} is not a registry ({error}); restore it from a backup or train again.") from error
        for row in rows:
            _safe(row["name"])
            _safe(row["version"])
        return rows

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

    def _write_rows(self, rows: Rows) -> None:
        self.root.mkdir(parents=True, exist_ok=True)
        path = self.root / "registry.json"
        new = path.with_suffix(f".{os.getpid()}.new")
        with new.open("wb") as handle:
            handle.write(json_bytes({"models": rows}))
            handle.flush()
            os.fsync(handle.fileno())
        new.replace(path)

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


def _safe(name: str) -> str:
    if not name or name.startswith(".") or "/" in name or "\\" in name or "\0" in name:
        raise ModelError(f"{name!r} is not a name that a file of the model registry can have.")
    return name


def _class_of(name: str) -> tuple[str, str, str]:
    if name not in CLASSES:
        raise ModelError(f"{name!r} is not a model; known are {sorted(CLASSES)}.")
    return CLASSES[name]


def _feature_rows(name: str) -> list[list[str]]:
    features = import_module("models.features")
    spec = features.LOAN_FEATURES if name == "default_risk" else features.CUSTOMER_FEATURES
    return [[column.name, column.type, column.role] for column in spec.columns]


def _as_of_range(card: Mapping[str, Any]) -> list[Any]:
    if "targets" in card:
        return [card["targets"]["default"].get("first_date"), card["targets"]["default"].get("last_date")]
    return [card.get("first_week"), card.get("last_week")]


def _metrics(card: Mapping[str, Any]) -> dict[str, Any]:
    if "targets" in card:
        return {name: entry.get("evaluation", {}).get("metrics", {}) for name, entry in card["targets"].items()}
    found = card.get("evaluation", {})
    return {name: found[name] for name in ("value_per_member_week", "against_habit", "r_gain") if name in found}
