"""``puntual models``: the trained models of a home, which is champion, and how to change that in one command."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from puntual.errors import UsageError
from puntual.paths import Home

if TYPE_CHECKING:
    from models.registry import ModelRegistry
    from puntual.settings import Settings

app = typer.Typer(
    name="models",
    help="The trained models: list them, see a card, choose the champion, go back to the one before.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)

HomeArgument = Annotated[
    Path, typer.Argument(help="Folder of the institution: its settings, data and results.", metavar="HOME")
]
NameArgument = Annotated[str, typer.Argument(help="default_risk, contact_channel, …; list says all.", metavar="MODEL")]
VersionArgument = Annotated[
    str, typer.Argument(help="The version, or so much of its beginning that no other one has it.", metavar="VERSION")
]

TEXTS = {
    "es": {
        "data_up_to": "datos hasta",
        "decided_on": "decidido el",
        "champion": "campeón",
        "held": "campeón, fijado",
        "retired": "retirado",
        "challenger": "aspirante",
        "past": "solo para fechas pasadas",
        "promoted": "{name}: la versión {version} es ahora la campeona. Vale desde la próxima corrida.",
        "past_only": "{name}: la versión {version} se entrenó antes que la campeona; queda para las fechas anteriores. "
        "Para volver a una campeona anterior: puntual models rollback {home} {name}",
        "already": "{name}: la versión {version} ya es la campeona; nada cambió.",
        "kept": "{name}: la versión {version} ya sirve solo para fechas pasadas; nada cambió.",
        "back": "{name}: de vuelta a la versión {version}. Vale desde la próxima corrida y queda fijada: ningún "
        "entrenamiento la reemplaza hasta que alguien apruebe otra, o esta misma, con: "
        "puntual models promote {home} {name} VERSIÓN",
        "back_willingness": "{name}: de vuelta a la versión {version}. Cada modelo sigue con la versión con la que se "
        "entrenó, y el próximo entrenamiento ajusta otra; para cambiar lo que se decide, vuelva atrás en esos modelos.",
        "released": "{name}: la versión {version} sigue de campeona y ya no está fijada: la regla puede reemplazarla "
        "en el próximo entrenamiento.",
        "none": "Todavía no hay modelos. Entrénelos con: puntual train {home} --as-of FECHA",
    },
    "en": {
        "data_up_to": "data up to",
        "decided_on": "decided on",
        "champion": "champion",
        "held": "champion, held",
        "retired": "retired",
        "challenger": "challenger",
        "past": "past dates only",
        "promoted": "{name}: version {version} is the champion now. It counts from the next run on.",
        "past_only": "{name}: version {version} was trained before the champion; it serves the dates before that one. "
        "To go back to an earlier champion: puntual models rollback {home} {name}",
        "already": "{name}: version {version} is the champion already; nothing changed.",
        "kept": "{name}: version {version} serves past dates already; nothing changed.",
        "back": "{name}: back to version {version}. It counts from the next run on and is held: no training replaces "
        "it until somebody promotes another one, or this one, with: puntual models promote {home} {name} VERSION",
        "back_willingness": "{name}: back to version {version}. Every model stays with the version that it was trained "
        "with, and the next training fits another; to change what is decided, roll those models back.",
        "released": "{name}: version {version} stays champion and is no longer held: the rule may replace it at the "
        "next training.",
        "none": "There are no models yet. Train them with: puntual train {home} --as-of DATE",
    },
}


@app.command(name="list", epilog="Example: puntual models list ./demo")
def list_(
    home: HomeArgument,
    model: Annotated[str | None, typer.Option(help="This model alone.", metavar="MODEL")] = None,
) -> None:
    """Every version with its status, the date of its data, and why it has that status."""
    from puntual.console import models_list, say

    _, settings, registry = _opened(home)
    text = TEXTS[settings.institution.language]
    rows = registry.list()
    if not rows:
        say(text["none"].format(home=home))
        return
    rows = rows if model is None else _of_name(registry, model)
    shown = [
        row | {"status_text": text["held" if "held_since" in row else row["status"]]}
        for row in sorted(rows, key=lambda row: row["name"])
    ]
    models_list(shown, data_up_to=text["data_up_to"], decided_on=text["decided_on"])


@app.command(epilog="Example: puntual models card ./demo default_risk")
def card(
    home: HomeArgument,
    name: NameArgument,
    version: Annotated[str | None, typer.Argument(help="The champion when left out.", metavar="VERSION")] = None,
) -> None:
    """Where the card of a version is, as a page for a browser; the same numbers are in card.json beside it."""
    from puntual.console import say

    place, _, registry = _opened(home)
    row = _champion(registry, name) if version is None else _found(registry, name, version)
    registry.manifest(name, row["version"])
    say(str(place.models / name / row["version"] / "card.html"))


@app.command(epilog="Example: puntual models promote ./demo default_risk 430cb3ca --reason 'approved by the committee'")
def promote(
    home: HomeArgument,
    name: NameArgument,
    version: VersionArgument,
    reason: Annotated[str, typer.Option(help="Why; it is kept with the decision.")] = "promoted by hand",
) -> None:
    """Make a version the champion. Its files are checked first; the champion before it is retired, not deleted."""
    from puntual import clock
    from puntual.console import say
    from puntual.lock import exclusive

    place, settings, registry = _opened(home)
    with exclusive(place):
        chosen = _found(registry, name, version)
        before, was_held = chosen["status"], "held_since" in chosen
        registry.promote(name, chosen["version"], reason, clock.today(settings.institution.timezone))
        after = _found(registry, name, chosen["version"])["status"]
    if after == "champion":
        what = "promoted" if before != after else "released" if was_held else "already"
    else:
        what = "kept" if before == after == "past" else "past_only"
    text = TEXTS[settings.institution.language][what]
    say(text.format(home=home, name=name, version=chosen["version"]))


@app.command(epilog="Example: puntual models rollback ./demo default_risk --reason 'odd scores this morning'")
def rollback(
    home: HomeArgument,
    name: NameArgument,
    reason: Annotated[str, typer.Option(help="Why; it is kept with the decision.")] = "rollback",
) -> None:
    """Go back to the champion before the present one, in one step; it stays until somebody promotes again."""
    from puntual import clock
    from puntual.console import say
    from puntual.lock import exclusive

    place, settings, registry = _opened(home)
    with exclusive(place):
        _champion(registry, name)
        version = registry.rollback(name, clock.today(settings.institution.timezone), reason)
    what = "back_willingness" if name == "willingness" else "back"
    say(TEXTS[settings.institution.language][what].format(home=home, name=name, version=version))


def _opened(home: Path) -> tuple[Home, Settings, ModelRegistry]:
    from models.registry import ModelRegistry
    from puntual.settings import load_settings, quiet_environment

    place = Home(home.resolve())
    settings = load_settings(place)
    quiet_environment(place, threads=settings.runtime.threads)
    return place, settings, ModelRegistry(place.models, settings.registry.uri, settings.registry.prefix)


def _of_name(registry: ModelRegistry, name: str) -> list[dict[str, Any]]:
    rows = registry.list()
    mine = [row for row in rows if row["name"] == name]
    if not mine:
        known = ", ".join(sorted({row["name"] for row in rows})) or "none yet"
        raise UsageError(f"there is no model {name!r} in this home; there are: {known}")
    return mine


def _found(registry: ModelRegistry, name: str, version: str) -> dict[str, Any]:
    """The row of the one version that begins like this."""
    rows = _of_name(registry, name)
    found = [row for row in rows if version and row["version"].startswith(version)]
    if len(found) != 1:
        shown = ", ".join(row["version"] for row in (found or rows))
        what = "more than one version begins with" if found else "no version begins with"
        raise UsageError(f"{name}: {what} {version!r}: {shown}")
    return found[0]


def _champion(registry: ModelRegistry, name: str) -> dict[str, Any]:
    rows = _of_name(registry, name)
    champion = next((row for row in rows if row["status"] == "champion"), None)
    if champion is None:
        versions = ", ".join(row["version"] for row in rows)
        raise UsageError(
            f"{name} has no champion. Name one of its versions ({versions}), or make one the champion with: "
            f"puntual models promote HOME {name} VERSION"
        )
    return champion
