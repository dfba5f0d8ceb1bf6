"""What the command line says of experiments, in both languages, and how a report is put into lines."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Any, Literal

import pandas as pd

from puntual.experiments.changes import in_words
from puntual.experiments.registry import Arm, Registered

Language = Literal["es", "en"]

TEXTS: dict[str, dict[str, str]] = {
    "es": {
        "none": "No hay experimentos en {folder}. docs/experiments.md dice cómo escribir uno.",
        "valid": "Archivos de experimentos: {count}, todos válidos.",
        "not_begun": "El experimento {name} no tiene medición al {date}: no había empezado o no se corrió el día.",
        "list_columns": "experimento|estado|fechas|capa|grupos",
        "report_columns": "grupo|qué hace|entraron|con ventana|media|diferencia|ajustada|en un vistazo|en todo momento",
        "heading": "{title} ({id}) · {status} · medido al {date}, {window} días por socio",
        "control": "{arm}: grupo de control.",
        "changes": "{arm} cambia: {changes}.",
        "same_value": "AVISO {name}: el grupo {arm} pone en {key} el mismo valor que ya rige hoy.",
        "same_arms": "AVISO {name}: los grupos {arms} hacen lo mismo hoy: es una prueba A/A, no compara nada.",
        "same_some": "AVISO {name}: los grupos {arms} hacen lo mismo hoy: entre ellos es una prueba A/A.",
        "same_off": "{text} (El modelo de canales está apagado: el producto es la escalera.)",
        "no_model": "AVISO {name}: el grupo {arm} pide el modelo {version}, que no está en {folder}: {then}. Elija "
        "otro (puntual models list) o quite el grupo antes de que empiece.",
        "model_off": "AVISO {name}: el grupo {arm} cambia {key}, y el modelo de canales está apagado: mientras siga "
        "así, {then}. Promueva un modelo (puntual models promote) o compare dos escaleras.",
        "budget": "AVISO {name}: con decision.daily_budget no se sabe qué habría hecho el plan de otro grupo, y "
        "propensity queda vacía para sus socios. Para limitar el gasto y conocerla, use channels.<canal>.daily_budget.",
        "no_run": "el día no correrá",
        "no_run_from": "el día no correrá desde el {start}",
        "ratio_ok": "Reparto de socios: correcto (p {once}; en todo momento {always}).",
        "ratio_bad": "Reparto de socios: NO es el declarado (p {once}; en todo momento {always}). No use el resultado.",
        "money": "{arm}: recuperación incremental {value} (de {low} a {high}), {count} socios.",
        "gain": "{arm}: el ajuste quita {share} de la varianza.",
        "status.off": "apagado",
        "status.planned": "por empezar",
        "status.enrolling": "entran socios",
        "status.following": "en seguimiento",
        "status.ended": "terminado",
        "verdict.sample_ratio": "{arm}: sin veredicto, el reparto de socios está mal. Busque la causa.",
        "verdict.too_few": "{arm}: sin veredicto, pocos socios con la ventana cumplida.",
        "verdict.too_early": "{arm}: sin veredicto, no se cumple la duración mínima.",
        "verdict.open": "{arm}: sin diferencia demostrada todavía.",
        "verdict.better": "{arm}: MEJOR que el control, en todo momento.",
        "verdict.worse": "{arm}: PEOR que el control, en todo momento.",
    },
    "en": {
        "none": "There are no experiments in {folder}. docs/experiments.md says how to write one.",
        "valid": "Files of experiments: {count}, all valid.",
        "not_begun": "The experiment {name} has no measure as of {date} yet: it had not begun, or the day was not run.",
        "list_columns": "experiment|status|dates|layer|arms",
        "report_columns": "arm|policy|entered|window over|mean|difference|adjusted|at one look|at every look",
        "heading": "{title} ({id}) · {status} · measured to {date}, {window} days of each member",
        "control": "{arm}: the control.",
        "changes": "{arm} changes: {changes}.",
        "same_value": "WARNING {name}: the arm {arm} sets {key} to the value that already holds today.",
        "same_arms": "WARNING {name}: the arms {arms} do the same today: an A/A test, it compares nothing.",
        "same_some": "WARNING {name}: the arms {arms} do the same today: between them it is an A/A test.",
        "same_off": "{text} (The channel model is off: the product is the ladder.)",
        "no_model": "WARNING {name}: the arm {arm} asks for the model {version}, which is not in {folder}: {then}. "
        "Choose another one (puntual models list), or take the arm out before it begins.",
        "model_off": "WARNING {name}: the arm {arm} changes {key}, and the channel model is off: while it is, {then}. "
        "Promote a model (puntual models promote), or compare two ladders.",
        "budget": "WARNING {name}: with decision.daily_budget nobody knows what the plan of another arm would have "
        "done, and propensity is empty for its members. To limit what is spent and know it, use "
        "channels.<channel>.daily_budget.",
        "no_run": "the day will not run",
        "no_run_from": "the day will not run from {start} on",
        "ratio_ok": "Sample ratio: sound (p {once}; at every look {always}).",
        "ratio_bad": "Sample ratio: NOT the declared one (p {once}; at every look {always}). Do not use the result.",
        "money": "{arm}: incremental recovery {value} ({low} to {high}), {count} members.",
        "gain": "{arm}: the adjustment takes {share} of the variance away.",
        "status.off": "off",
        "status.planned": "planned",
        "status.enrolling": "enrolling",
        "status.following": "following up",
        "status.ended": "ended",
        "verdict.sample_ratio": "{arm}: no verdict, the sample ratio is off. Look for the cause.",
        "verdict.too_few": "{arm}: no verdict, too few members whose window is over.",
        "verdict.too_early": "{arm}: no verdict before the minimum duration.",
        "verdict.open": "{arm}: no difference shown yet.",
        "verdict.better": "{arm}: BETTER than the control, at every look.",
        "verdict.worse": "{arm}: WORSE than the control, at every look.",
    },
}


def list_rows(registered: tuple[Registered, ...], day: date, language: Language) -> list[list[str]]:
    """A row per experiment: id and title, status on ``day``, dates, layer with its part, arms with their shares."""
    say = TEXTS[language]
    rows = []
    for one in registered:
        it = one.experiment
        arms = "\n".join(_arm(arm, language) for arm in it.arms)
        title = it.title.es if language == "es" else it.title.en
        status = say[f"status.{it.status(day)}"]
        layer = f"{it.layer} {one.slot_from:g}-{one.slot_to:g}"
        rows.append([f"{it.id}\n{title}", status, f"{it.start}\n{it.end}", layer, arms])
    return rows


def _arm(arm: Arm, language: Language) -> str:
    plain = f"{arm.code} {arm.share:.0%} {arm.policy}"
    return plain if arm.changes is None else f"{plain}: {in_words(arm.changes.written(), language)}"


def changes_by_arm(arms: pd.DataFrame, language: str) -> list[str | None]:
    """What each arm changes, row by row of ``rpt_experiments``; None: nothing.

    A day that was published before arms could change anything has no such columns.
    """
    column = f"changes_{language}"
    texts = arms[column].tolist() if column in arms else [None] * len(arms)
    return [text if isinstance(text, str) else None for text in texts]


def report_rows(newest: pd.DataFrame, language: Language) -> tuple[str, list[list[str]], list[str]]:
    """Of the newest rows of one experiment: its heading, a row per measure (arms are columns), what to say below."""
    say, first = TEXTS[language], newest.iloc[0]
    write = _writer(str(first["metric_code"]))
    heading = say["heading"].format(
        title=first[f"title_{language}"],
        id=first["experiment_id"],
        status=say[f"status.{first['status_code']}"],
        date=pd.Timestamp(first["measured_date"]).date(),
        window=first["window_days"],
    )
    once, always = first["sample_ratio_probability"], first["sample_ratio_sequential_probability"]
    is_off = (newest["verdict_code"] == "sample_ratio").any()
    lines = [say["ratio_bad" if is_off else "ratio_ok"].format(once=f"{once:.4f}", always=f"{always:.4f}")]
    columns = [say["report_columns"].split("|")]
    for row, changes in zip(newest.to_dict("records"), changes_by_arm(newest, language), strict=True):
        columns.append(
            [
                row["arm_code"],
                row["policy_code"],
                f"{row['exposed_count']:,}",
                f"{row['matured_count']:,}",
                write(row["metric_mean"]),
                write(row["difference_value"]),
                write(row["adjusted_value"]),
                _span(row["adjusted_low"], row["adjusted_high"], write),
                _span(row["anytime_low"], row["anytime_high"], write),
            ]
        )
        if changes is not None:
            lines.append(say["changes"].format(arm=row["arm_code"], changes=changes))
        key = "control" if row["is_control"] else f"verdict.{row['verdict_code']}"
        lines.append(say[key].format(arm=row["arm_code"]))
        if pd.notna(row["variance_reduction_rate"]):
            lines.append(say["gain"].format(arm=row["arm_code"], share=f"{row['variance_reduction_rate']:.0%}"))
        if pd.notna(row["incremental_value"]) and row["metric_code"] == "paid_amount" and not is_off:
            low, high = (f"{row[f'incremental_{end}']:,.2f}" for end in ("low", "high"))
            value, count = f"{row['incremental_value']:,.2f}", f"{row['matured_count']:,}"
            lines.append(say["money"].format(arm=row["arm_code"], value=value, low=low, high=high, count=count))
    return heading, [list(measure) for measure in zip(*columns, strict=True)], lines


def _writer(metric: str) -> Callable[[Any], str]:
    form = "{:.1%}" if metric == "paid_any" else "{:,.2f}"
    return lambda value: "–" if pd.isna(value) else form.format(value)


def _span(low: Any, high: Any, write: Callable[[Any], str]) -> str:
    return "–" if pd.isna(low) else f"{write(low)} … {write(high)}"
