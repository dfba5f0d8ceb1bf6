"""Looks a home over: versions, settings, disk, warehouse, freshness."""

from __future__ import annotations

import shutil
import sys
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Literal

from puntual import clock
from puntual.errors import PuntualError, UsageError
from puntual.lock import holder
from puntual.paths import Home
from puntual.publish import verify
from puntual.settings import Settings, load_settings
from puntual.snapshot import Snapshot
from puntual.warehouse import Warehouse
from puntual.warehouse.roles import LEAST_VERSION, ROLES, served_now, server_version

_PACKAGES = ("dagster", "dbt-core", "dbt-duckdb", "dbt-postgres", "duckdb", "great-expectations", "lightgbm", "pandas",
             "scikit-learn", "streamlit")  # fmt: skip
_LEAST_FREE_GB = 2.0
_STALE_AFTER_DAYS = 2


@dataclass(frozen=True)
class Finding:
    """One thing looked at: whether it is well, and what to do when it is not."""

    level: Literal["ok", "warning", "error"]
    subject: str
    text: str


def examine(home: Path) -> list[Finding]:
    """Findings about the machine and the home, most basic first."""
    place = Home(home.resolve())
    findings = [_python(), _packages(), _disk(place)]
    try:
        settings = load_settings(place)
    except UsageError as error:
        return [*findings, Finding("error", "settings", str(error))]
    findings.append(Finding("ok", "settings", str(place.settings_file)))
    return [*findings, _warehouse(place, settings), *_postgres(place, settings), _landing(place, settings),
            *_published(place, settings)]  # fmt: skip


def _python() -> Finding:
    version = ".".join(str(part) for part in sys.version_info[:3])
    return Finding("ok", "python", version)


def _packages() -> Finding:
    found, absent = [], []
    for name in _PACKAGES:
        try:
            found.append(f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            absent.append(name)
    if absent:
        return Finding("error", "packages", f"not installed: {', '.join(absent)}; run: make setup")
    return Finding("ok", "packages", ", ".join(found))


def _disk(place: Home) -> Finding:
    existing = next(path for path in (place.root, *place.root.parents) if path.exists())
    free = shutil.disk_usage(existing).free / 1e9
    if free < _LEAST_FREE_GB:
        return Finding(
            "error", "disk", f"{free:.1f} GB free at {existing}; make room for at least {_LEAST_FREE_GB:.0f} GB"
        )
    return Finding("ok", "disk", f"{free:.0f} GB free")


def _warehouse(place: Home, settings: Settings) -> Finding:
    warehouse = Warehouse.open(settings.warehouse.url, place.root)
    if warehouse.path is not None and not warehouse.path.exists():
        return Finding("warning", "warehouse", f"{warehouse.path} is not there yet; the first run makes it")
    working = holder(place)
    if working is not None:
        return Finding("warning", "warehouse", f"a run is working (process {working}); look again when it has ended")
    try:
        version = warehouse.read("select version() as version")["version"].iloc[0]
    except PuntualError as error:
        return Finding("error", "warehouse", str(error))
    return Finding("ok", "warehouse", f"{warehouse.safe_url} ({version})")


def _postgres(place: Home, settings: Settings) -> list[Finding]:
    """Version, roles and publication of a PostgreSQL warehouse; nothing for DuckDB, or when it does not answer."""
    warehouse = Warehouse.open(settings.warehouse.url, place.root)
    if warehouse.kind != "postgres":
        return []
    try:
        with warehouse.session() as connection, connection.cursor() as cursor:
            version = server_version(cursor)
            if version < LEAST_VERSION:
                return [Finding("error", "postgresql", f"version {version}; upgrade to {LEAST_VERSION} or newer")]
            cursor.execute("select rolname from pg_roles where rolname = any(%s)", [list(ROLES)])
            absent = sorted(set(ROLES) - {name for (name,) in cursor.fetchall()})
            served = served_now(cursor)
    except PuntualError:
        return []  # said already
    how = f"run: puntual init-db {place.root}"
    findings = [
        Finding("warning", "roles", f"{', '.join(absent)} not there: nobody but the owner can read; {how}")
        if absent
        else Finding("ok", "roles", ", ".join(ROLES))
    ]
    if isinstance(served, str):
        return [*findings, Finding("warning", "bi schema", served)]
    try:
        snapshot = Snapshot.current(place.root)
    except PuntualError:
        return [
            *findings,
            Finding("warning", "bi schema", f"as of {served.as_of_date}, but no snapshot in {place.root}"),
        ]
    if served.content_name != snapshot.folder.name:
        return [
            *findings,
            Finding(
                "error", "bi schema", f"shows {served.content_name}, the snapshot {snapshot.folder.name}; run the day "
                "again"
            ),
        ]  # fmt: skip
    return [*findings, Finding("ok", "bi schema", f"as of {served.as_of_date}, read without an error")]


def _landing(place: Home, settings: Settings) -> Finding:
    folder = settings.landing_path(place)
    files = [path for path in folder.rglob("*") if path.is_file() and path.suffix in {".csv", ".parquet", ".gz"}]
    if not files:
        return Finding("warning", "landing", f"{folder} has no file yet")
    return Finding("ok", "landing", f"{len(files)} files, {sum(path.stat().st_size for path in files) / 1e6:.1f} MB")


def _published(place: Home, settings: Settings) -> list[Finding]:
    try:
        snapshot = Snapshot.current(place.root)
    except PuntualError as error:
        return [Finding("warning", "published", str(error))]
    age = (clock.today(settings.institution.timezone) - snapshot.as_of_date).days
    level: Literal["ok", "warning"] = "ok" if age <= _STALE_AFTER_DAYS else "warning"
    findings = [Finding(level, "freshness", f"published as of {snapshot.as_of_date}, {age} days ago")]
    problems = verify(snapshot)
    if problems:
        findings.append(
            Finding(
                "error", "published", f"{'; '.join(problems[:5])}. Publish again: puntual run {place.root} --as-of DATE"
            )
        )
    else:
        findings.append(
            Finding("ok", "published", f"{len(snapshot.manifest['files'])} files, each with its published bytes")
        )
    return findings
