"""``puntual campaigns``: what is written, whether it is sound, and what a day's campaigns would send and hold back."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from puntual.errors import UsageError
from puntual.paths import POLICIES, Home

if TYPE_CHECKING:
    import pandas as pd

    from puntual.campaigns.registry import CampaignData
    from puntual.settings import Settings

app = typer.Typer(
    name="campaigns",
    help="Campaigns, segments, templates and the escalation: list them, check the files, try a day without sending.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)

HomeArgument = Annotated[
    Path, typer.Argument(help="Folder of the institution: its settings, data and results.", metavar="HOME")
]
SpokenLanguage = Annotated[
    str | None, typer.Option("--language", help="es or en; the institution's when left out.", metavar="LANGUAGE")
]

TEXTS = {
    "es": {
        "all": "todos",
        "rules_hours": "las de las reglas",
        "off": "apagada",
        "list_columns": "Campaña|Nombre|Canal|Segmentos|Horas|Prioridad|Pasos",
        "counts": "Campañas del {date}: nada se escribe ni se envía",
        "count_columns": "Campaña|Canal|Seleccionados|Se envían|No se envían|Segmentos SMS|Costo ({currency})",
        "why": "{campaign}: por qué no se envían {count}",
        "why_columns": "Regla|Fuente|Socios|Socios que toca",
        "sum": "Seleccionados {selected} = se envían {sent} + no se envían {suppressed}. Socios decididos: {members}.",
        "sound": "Válido: {sets} grupos de segmentos, {segments} segmentos, {templates} plantillas, "
        "{campaigns} campañas, {steps} pasos.",
        "total": "Total",
    },
    "en": {
        "all": "all",
        "rules_hours": "those of the rules",
        "off": "off",
        "list_columns": "Campaign|Name|Channel|Segments|Hours|Priority|Steps",
        "counts": "Campaigns of {date}: nothing is written or sent",
        "count_columns": "Campaign|Channel|Selected|Sent|Suppressed|SMS segments|Cost ({currency})",
        "why": "{campaign}: why {count} are suppressed",
        "why_columns": "Rule|Source|Members|Members touched",
        "sum": "Selected {selected} = sent {sent} + suppressed {suppressed}. Members decided about: {members}.",
        "sound": "Valid: {sets} sets of segments, {segments} segments, {templates} templates, "
        "{campaigns} campaigns, {steps} steps.",
        "total": "Total",
    },
}


@app.command(name="list", epilog="Example: puntual campaigns list ./micoop")
def list_campaigns(home: HomeArgument, language: SpokenLanguage = None) -> None:
    """Show the campaigns in force by priority, with channel, segments, hours and steps."""
    from puntual.console import table

    data, settings = _data(home)
    spoken = _spoken(language, settings)
    texts = TEXTS[spoken]
    rows = [
        [
            one.id,
            getattr(one.name, spoken) if one.enabled else f"{getattr(one.name, spoken)} ({texts['off']})",
            one.channel,
            texts["all"] if one.segments == "all" else ", ".join(one.segments),
            one.window or texts["rules_hours"],
            str(one.priority),
            ", ".join(one.templates),
        ]
        for one in data.campaigns
    ]
    table("", texts["list_columns"].split("|"), rows)


@app.command(name="check", epilog="Example: puntual campaigns check ./micoop")
def check(home: HomeArgument, language: SpokenLanguage = None) -> None:
    """Validate segments, templates, escalation and campaigns, the home's own on top of the shipped ones."""
    from puntual.console import say

    data, settings = _data(home)
    say(
        TEXTS[_spoken(language, settings)]["sound"].format(
            sets=len(data.segments.sets),
            segments=len(data.segments.codes()),
            templates=len(data.templates.by_key),
            campaigns=len(data.campaigns),
            steps=len(data.escalation.steps),
        )
    )


@app.command(
    name="dry-run", epilog="Example: puntual campaigns dry-run ./micoop --as-of 2026-06-30 --campaign early_sms"
)
def dry_run(
    home: HomeArgument,
    as_of: Annotated[str, typer.Option("--as-of", help="Business date of the last run, YYYY-MM-DD.", metavar="DATE")],
    campaign: Annotated[
        str | None, typer.Option("--campaign", help="One campaign; all that run that day when left out.", metavar="ID")
    ] = None,
    language: SpokenLanguage = None,
) -> None:
    """Say what each campaign of a decided day sends and holds back, by rule, with today's files; writes nothing."""
    from puntual.console import say, table, working
    from puntual.lock import exclusive
    from puntual.settings import business_date, load_settings, quiet_environment

    place = _existing(home)
    settings = load_settings(place)
    texts = TEXTS[_spoken(language, settings)]
    day = business_date(as_of)
    quiet_environment(place, threads=settings.runtime.threads)
    with exclusive(place), working("Planning the campaigns"):
        from pipelines.steps.campaign_dry_run import dry_run as plan

        counts, suppressions, members = plan(place, day)
    if campaign is not None:
        if campaign not in set(counts["campaign_id"]):
            there = ", ".join(counts["campaign_id"])
            raise UsageError(f"--campaign {campaign}: no such campaign runs on {day}. There are: {there or 'none'}")
        counts = counts[counts["campaign_id"] == campaign]
    table(
        texts["counts"].format(date=day.isoformat()),
        texts["count_columns"].format(currency=settings.institution.currency).split("|"),
        [*_count_rows(counts), _total_row(counts, texts["total"])],
    )
    for row in counts.itertuples():
        mine = suppressions[suppressions["campaign_id"] == row.campaign_id]
        if len(mine):
            table(
                texts["why"].format(campaign=row.campaign_id, count=f"{row.suppressed_count:,}"),
                texts["why_columns"].split("|"),
                [
                    [one.rule_id, one.rule_source, f"{one.suppressed_count:,}", f"{one.touched_count:,}"]
                    for one in mine.itertuples()
                ],
            )
    sums = {name: int(counts[f"{name}_count"].sum()) for name in ("selected", "sent", "suppressed")}
    say(texts["sum"].format(**{name: f"{value:,}" for name, value in sums.items()}, members=f"{members:,}"))


def _count_rows(counts: pd.DataFrame) -> list[list[str]]:
    return [
        [
            row.campaign_id, row.channel_code, f"{row.selected_count:,}", f"{row.sent_count:,}",
            f"{row.suppressed_count:,}", f"{row.message_segments:,}" if row.channel_code == "sms" else "",
            f"{row.cost_amount:,.2f}",
        ]
        for row in counts.itertuples()
    ]  # fmt: skip


def _total_row(counts: pd.DataFrame, name: str) -> list[str]:
    sms = counts.loc[counts["channel_code"] == "sms", "message_segments"].sum()
    sums = [f"{counts[column].sum():,}" for column in ("selected_count", "sent_count", "suppressed_count")]
    return [name, "", *sums, f"{sms:,}", f"{counts['cost_amount'].sum():,.2f}"]


def _data(home: Path) -> tuple[CampaignData, Settings]:
    from puntual.campaigns.registry import load_campaigns
    from puntual.settings import load_settings

    place = _existing(home)
    settings = load_settings(place)
    institution = settings.institution
    data = load_campaigns(
        POLICIES,
        place.policies,
        country=institution.country,
        institution=institution.name,
        channels=settings.channels,
    )
    return data, settings


def _existing(home: Path) -> Home:
    place = Home(home.resolve())
    if not place.settings_file.exists():
        raise UsageError(f"{home} is no home: it has no puntual.yaml. Make one with: puntual init {home}")
    return place


def _spoken(language: str | None, settings: Settings) -> str:
    spoken = language or settings.institution.language
    if spoken not in TEXTS:
        raise UsageError(f"--language {spoken}: it is es or en")
    return spoken
