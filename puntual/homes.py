"""Makes an institution's home: its settings, its folders, and for a demo its files."""

from __future__ import annotations

import shutil
from datetime import date
from pathlib import Path

from puntual.errors import UsageError
from puntual.lock import exclusive
from puntual.paths import PROJECT_ROOT, Home
from puntual.settings import ChannelSettings, load_settings, settings_text

_README_LANDING = """\
Put the institution's files here: <table>.parquet, <table>.csv or <table>/ with several files.
Tables and columns: docs/data_dictionary.md of Puntual. Required: customers, loans, installments, payments.
"""

_EXPERIMENT = """\
# An experiment, switched off. Copy it to a file of its own name, change it, switch it on (docs/experiments.md).
# From its first day on only its end may change. Check it with: puntual experiment check HOME
id: ejemplo                        # the name of the file
title: {es: Grupo de reserva, en: Hold-out}
enabled: false
layer: main                        # experiments of one layer never share a member
traffic: 1.0                       # part of the layer's members
salt: ejemplo-1                    # any text; another one draws the members anew
arms:                              # policy: puntual (its decision), ladder (by past-due days), hold_out (no contact)
  - {code: producto, share: 0.9, policy: puntual}
  - {code: reserva, share: 0.1, policy: hold_out}
# An A/B test of two policies: an arm may change something of today's (of a puntual arm the weights or the model):
# - {code: provision, share: 0.5, policy: puntual, changes: {decision.provision_weight: 1.0}}
# - {code: modelo, share: 0.5, policy: puntual, changes: {channel_model: "VERSION"}}   # puntual models list HOME
# of a ladder arm the order: changes: {ladder: {id: OTRA, version: 1, steps: [...]}}, as data/policies/ladder.yaml
control: reserva                   # the arm with which the others are compared
population:                        # on the day of entering; also segments, branches, products: [...]
  min_past_due_days: 0
  max_past_due_days: 90
start: 2026-07-01
end: 2026-09-30                    # members enter until window_days before it
metric: {name: paid_amount, window_days: 28, covariate_days: 91}   # or paid_any
minimum_days: 28                   # no verdict before
alpha: 0.05
expected_members: 2000             # where the interval for all looks is narrowest
"""

_DEMO_MARKER = "This home is a demo: `puntual demo` may replace everything in it.\n"


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
        UsageError: the home already has one, a file is in its way, or a value is not valid; nothing is left behind.
    """
    place = Home(home.resolve())
    _refuse_a_file_in_the_way(place)
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
    for folder in (place.root / "landing", place.policies, place.experiments):
        folder.mkdir(exist_ok=True)
    (place.root / "landing" / "LEEME.txt").write_text(_README_LANDING, encoding="utf-8")
    example = place.experiments / "ejemplo.yaml"
    if not example.exists():
        example.write_text(_EXPERIMENT, encoding="utf-8")
    return place


def create_demo(home: Path, *, members: int, seed: int, as_of: date) -> str:
    """A demo cooperative in ``home``, made anew; returns one line about it.

    Raises:
        UsageError: the folder holds something that is not a demo; nothing in it was touched.
        PuntualError: a run is working in it.
    """
    from models.lab.write import write_demo

    place = Home(home.resolve())
    _refuse_what_is_no_demo(place)  # before the lock, which would leave its file in a folder that is not ours
    with exclusive(place):
        _refuse_what_is_no_demo(place)
        _demo_marker(place).parent.mkdir(exist_ok=True)
        _demo_marker(place).write_text(_DEMO_MARKER, encoding="utf-8")
        _clear_demo(place)
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


def _demo_marker(place: Home) -> Path:
    """The file that makes a home a demo: there before anything of it is written, and while it is made anew."""
    return place.truth / ".demo"


def _refuse_what_is_no_demo(place: Home) -> None:
    _refuse_a_file_in_the_way(place)
    if _demo_marker(place).exists() or not place.root.exists():
        return
    if any(path != place.lock_file for path in place.root.iterdir()):
        raise UsageError(
            f"{place.root} is neither empty nor a demo (it has no {_demo_marker(place).relative_to(place.root)}); "
            "nothing was changed. Choose another folder, or empty this one yourself."
        )


def _refuse_a_file_in_the_way(place: Home) -> None:
    for path in (place.root, *place.root.parents):
        if path.exists() and not path.is_dir():
            raise UsageError(f"{path} is a file, not a folder; choose another place for the home")


def _clear_demo(place: Home) -> None:
    """Remove all that a demo and its runs wrote, except the marker: an interrupted demo can be made again."""
    place.settings_file.unlink(missing_ok=True)
    written = [place.root / "landing", place.warehouse, place.models, place.published, place.quarantine]
    written += [place.root / "reports", place.dagster, place.dbt, place.audit, place.operations]
    written += [path for path in place.truth.iterdir() if path != _demo_marker(place)]
    for path in written:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def prepare_dagster(place: Home) -> None:
    """The Dagster instance of the home: the repository's ``dagster.yaml``, copied where Dagster looks for it."""
    place.dagster.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(PROJECT_ROOT / "dagster.yaml", place.dagster / "dagster.yaml")
