"""Makes an institution's home: its settings, its folders, and for a demo its files."""

from __future__ import annotations

import shutil
from datetime import date
from pathlib import Path

from puntual.errors import UsageError
from puntual.paths import PROJECT_ROOT, Home
from puntual.settings import ChannelSettings, load_settings, settings_text

_README_LANDING = """\
Put the institution's files here: <table>.parquet, <table>.csv or <table>/ with several files.
Tables and columns: docs/data_dictionary.md of Puntual. Required: customers, loans, installments, payments.
"""


def create_home(
    home: Path,
    *,
    name: str,
    country: str,
    timezone: str,
    currency: str,
    language: str,
    channels: dict[str, ChannelSettings] | None = None,
) -> Home:
    """A home with a valid ``puntual.yaml``.

    Raises:
        UsageError: the home already has one, or a value is not valid; nothing is left behind then.
    """
    place = Home(home.resolve())
    if place.settings_file.exists():
        raise UsageError(f"{place.settings_file} already exists; it was left as it is")
    text = settings_text(
        name=name, country=country, timezone=timezone, currency=currency, language=language, channels=channels
    )
    place.root.mkdir(parents=True, exist_ok=True)
    place.settings_file.write_text(text, encoding="utf-8")
    try:
        load_settings(place)
    except UsageError:
        place.settings_file.unlink()
        raise
    for folder in (place.root / "landing", place.policies):
        folder.mkdir(exist_ok=True)
    (place.root / "landing" / "LEEME.txt").write_text(_README_LANDING, encoding="utf-8")
    return place


def create_demo(home: Path, *, members: int, seed: int, as_of: date) -> str:
    """A demo cooperative in ``home``, made anew; returns one line about it.

    Raises:
        UsageError: the folder holds something that is not a demo.
    """
    from models.lab.write import write_demo

    place = Home(home.resolve())
    if place.settings_file.exists() and not place.truth.exists():
        raise UsageError(f"{place.root} is the home of an institution, not a demo; choose another folder")
    for leftover in (place.root / "landing", place.truth, place.warehouse, place.models, place.published):
        shutil.rmtree(leftover, ignore_errors=True)
    for leftover in (place.quarantine, place.root / "reports", place.dagster, place.dbt):
        shutil.rmtree(leftover, ignore_errors=True)
    place.settings_file.unlink(missing_ok=True)
    summary = write_demo(place.root, members=members, seed=seed, as_of=as_of)
    create_home(
        place.root,
        name="Cooperativa Demostración",
        country="EC",
        timezone="America/Guayaquil",
        currency="USD",
        language="es",
        channels={name: ChannelSettings(**values) for name, values in summary.channels.items()},
    )
    return str(summary)


def prepare_dagster(place: Home) -> None:
    """The Dagster instance of the home: the repository's ``dagster.yaml``, copied where Dagster looks for it."""
    place.dagster.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(PROJECT_ROOT / "dagster.yaml", place.dagster / "dagster.yaml")
