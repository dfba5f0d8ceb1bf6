"""What readers see: one complete, immutable day that a run published."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from puntual.errors import PublishError
from puntual.paths import Home

MANIFEST = "manifest.json"
SCREEN_LIST = "worklists/screen.parquet"
"""The day's list for the screens. It has names, so it lies with the work lists and not among the tables for BI."""

SCREEN_ROUTES = "worklists/routes_screen.parquet"
SCREEN_STOPS = "worklists/route_stops_screen.parquet"
"""The day's routes and their stops for the screens: names, no addresses, positions rounded."""

_PLACES = {
    "worklist": SCREEN_LIST,
    "routes": SCREEN_ROUTES,
    "route_stops": SCREEN_STOPS,
    "duty_alarms": "duty_alarms.parquet",
    "training_default_risk": "training/default_risk.parquet",
    "training_contact_channel": "training/contact_channel.parquet",
}


@dataclass(frozen=True)
class Snapshot:
    """A published folder. It never changes: a new run publishes a new one and flips the link.

    Attributes:
        folder: the snapshot's own folder, with the link resolved, so that a reader keeps one day through a flip.
        manifest: what was published: as-of date, run, input digests, versions, row counts, sha256 of every file.
    """

    folder: Path
    manifest: dict[str, Any]

    @classmethod
    def current(cls, home: Path) -> Snapshot:
        """The snapshot that is published now.

        Raises:
            PublishError: nothing is published yet, or the snapshot has no readable manifest.
        """
        link = Home(home).current
        if not link.exists():
            raise PublishError(
                f"Nothing is published in {home} yet. Run the day first: puntual run {home} --as-of DATE"
            )
        return cls.at(link.resolve())

    @classmethod
    def at(cls, folder: Path) -> Snapshot:
        """The snapshot in ``folder``.

        Raises:
            PublishError: no readable manifest.
        """
        file = folder / MANIFEST
        try:
            manifest = json.loads(file.read_text(encoding="utf-8"))
        except (OSError, json.JSONDecodeError) as error:
            raise PublishError(
                f"{file} cannot be read: {error}. Publish again: puntual run {folder.parent.parent}"
            ) from error
        return cls(folder, manifest)

    @classmethod
    def kept(cls, home: Path) -> list[Snapshot]:
        """Every readable snapshot that is kept, by business date and then by when it was published."""
        found = []
        for folder in Home(home).published.iterdir() if Home(home).published.exists() else ():
            if folder.is_symlink() or not (folder / MANIFEST).is_file():
                continue
            try:
                snapshot = cls.at(folder.resolve())
                found.append((snapshot.as_of_date, (folder / MANIFEST).stat().st_mtime, folder.name, snapshot))
            except (PublishError, KeyError, TypeError, ValueError):
                continue  # a damaged one is no choice; `puntual doctor` names it
        return [snapshot for *_, snapshot in sorted(found, key=lambda one: one[:3])]

    @property
    def as_of_date(self) -> date:
        """The business date whose end this snapshot shows."""
        return date.fromisoformat(self.manifest["as_of_date"])

    def table_path(self, name: str) -> Path:
        """The Parquet file of a published table.

        One of ``bi/``; or ``worklist``, the day's list for the screens; or ``duty_alarms``; or
        ``training_default_risk`` and ``training_contact_channel``, what those models were last trained on, for
        notebooks.

        Raises:
            PublishError: the snapshot has no such table.
        """
        path = self.folder / _PLACES.get(name, f"bi/{name}.parquet")
        if not path.exists():
            raise PublishError(f"The snapshot of {self.as_of_date} has no table {name!r} ({path}). Publish again.")
        return path
