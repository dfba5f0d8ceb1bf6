"""The card of a channel model: what it learnt from, which learner was chosen and why, and what it may not be asked."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from models import cards
from models.contact_channel.judge import decide_promotion, why_refused
from models.contact_channel.rows import NONE, ChannelRows
from models.contact_channel.score import ContactChannelModel
from models.features import CUSTOMER_FEATURES
from models.monitoring import reference_of

REFERENCE_ROWS = 20_000

NAMES = {
    "effect_through_reach": "Efecto a través del contacto logrado / Effect through reach",
    "intention_to_treat": "Efecto del intento / Effect of the attempt",
    "s_learner": "Una respuesta para todos los canales (S) / One response for all channels (S)",
    "t_learner": "Una respuesta por canal (T) / One response per channel (T)",
    "x_learner": "Efectos cruzados (X) / Crossed effects (X)",
    "r_learner": "Residuos sobre residuos (R) / Residuals on residuals (R)",
    "dr_learner": "Doblemente robusto (DR) / Doubly robust (DR)",
    "constant_effect": "Un efecto fijo por canal / One constant effect per channel",
    "best_arm": "El mejor canal, igual para todos / The best channel, the same for all",
    "response_score": "Puntaje de respuesta (solo comparación) / Response score (comparison only)",
    "habit": "Lo que hace hoy la institución / The institution's present habit",
}

UNITS = {
    "effect_through_reach": "log-odds",
    "intention_to_treat": "log-odds",
    "constant_effect": "log-odds",
    "best_arm": "dinero / money",
}

LIMITS_ES = (
    "El primer contacto de la semana cuenta como tratamiento, aunque un pago haya llegado antes en la misma semana.",
    "Lo que movió a los gestores y no está en los datos puede sesgar los efectos; los contactos al azar lo corrigen.",
)


def build_card(model: ContactChannelModel, rows: ChannelRows, judged: dict[str, Any]) -> dict[str, Any]:
    """The card as data; :func:`render` makes the page."""
    channels: list[dict[str, Any]] = []
    for place, channel in enumerate(model.channels):
        mine = rows.treatment == place
        tried, reached = int(mine.sum()), int((mine & rows.reached).sum())
        channels.append(
            {
                "channel_code": channel,
                "attempt_count": tried,
                "reached_count": reached,
                "reach_rate": reached / tried if tried else None,
                "mean_effect": model.fit.constants.get(channel),
                "has_model": channel in model.fit.constants,
            }
        )
    return {
        "model": model.name,
        "learner": model.fit.learner,
        "trained_as_of": model.trained_as_of,
        "schema_hash": CUSTOMER_FEATURES.schema_hash(),
        "feature_count": len(CUSTOMER_FEATURES.features),
        "protected_attributes_used": [],
        "row_count": len(rows),
        "member_count": len(np.unique(rows.member)),
        "first_week": pd.Timestamp(rows.week.min()).date(),
        "last_week": pd.Timestamp(rows.week.max()).date(),
        "untreated_count": int((rows.treatment == NONE).sum()),
        "channels": channels,
        "evaluation": judged,
        "reference": reference_of(CUSTOMER_FEATURES, rows.matrix[_some(len(rows))]),
        "metrics": headline(judged),
        "decision": decide_promotion(judged),
        "limits": [
            "The first contact of a week counts as its treatment, even if a payment came earlier in the same week.",
            "What moved collectors and is not in the data can bias the effects; randomised contacts remove that.",
        ],
    }


def _some(count: int) -> np.ndarray:
    random = np.random.default_rng(0)
    return np.sort(random.choice(count, min(REFERENCE_ROWS, count), replace=False))


def headline(judged: dict[str, Any]) -> dict[str, float]:
    """The few numbers for a log line: the plan's value against the habit with its interval; empty when not judged."""
    if judged.get("split") is None:
        return {}
    against = judged["against_habit"][judged["chosen"]]
    return {f"against_habit_{name}": round(against[name], 4) for name in ("value", "low", "high")}


def render(card: dict[str, Any]) -> str:
    """The card as one HTML page without any outside file; Spanish first, then English."""
    page = cards.Page("Mejor canal", "Best channel", str(card["trained_as_of"]))
    decision = card["decision"]
    page.facts(
        [
            ("Método elegido", "Chosen learner", NAMES[card["learner"]]),
            ("Entrenado con datos hasta", "Trained on data up to", card["trained_as_of"]),
            ("Semanas-socio, socios", "Member-weeks, members", f"{card['row_count']:,}, {card['member_count']:,}"),
            ("Semanas", "Weeks", f"{card['first_week']} – {card['last_week']}"),
            ("¿Reemplaza al modo actual?", "Replaces the present policy?", "sí / yes" if decision["promote"] else "no"),
        ]
    )
    page.note("Decisión por valor doblemente robusto en semanas no vistas.", decision["reason"])
    page.heading("Canales", "Channels")
    unit = UNITS.get(card["learner"], "probabilidad / probability")
    page.table(
        [
            "Canal / Channel",
            "Intentos / Attempts",
            "Logrados / Reached",
            "Tasa / Rate",
            f"Efecto medio ({unit}) / Mean effect",
        ],
        [
            [
                row["channel_code"],
                f"{row['attempt_count']:,}",
                f"{row['reached_count']:,}",
                "–" if row["reach_rate"] is None else f"{row['reach_rate']:.2f}",
                "sin datos / no data" if row["mean_effect"] is None else f"{row['mean_effect']:+.3f}",
            ]
            for row in card["channels"]
        ],
    )
    found = card["evaluation"]
    page.heading("Evaluación en semanas posteriores", "Evaluation on later weeks")
    if found.get("split") is None:
        page.note("No hay historia suficiente para evaluar.", f"Not judged: {found['reason']}.")
        return page.html()
    page.note(f"Por qué este método: {found['chosen_because']}.", f"Chosen because {found['chosen_because']}.")
    page.note(
        "Valor por socio y semana con la misma cantidad de contactos por canal; intervalos del 95 % por socios.",
        "Value per member and week with the same number of contacts per channel; 95 % intervals by members.",
    )
    nothing: dict[str, float | None] = {}
    page.table(
        ["Plan", "Valor / Value", "Frente al hábito / Against habit", "R-gain"],
        [
            [
                NAMES[name],
                cards.interval(value),
                cards.interval(found["against_habit"].get(name, nothing)),
                cards.interval(found["r_gain"].get(name, nothing)),
            ]
            for name, value in found["value_per_member_week"].items()
        ],
    )
    page.picture(
        "Frente al hábito, por socio y semana",
        "Against habit, per member and week",
        cards.bar_chart([(name, value["value"]) for name, value in found["against_habit"].items()]),
    )
    page.table(
        ["Plan", "Mejor que un solo número por canal / Better than one number per channel"],
        [[NAMES[name], cards.interval(value)] for name, value in found["against_best_arm"].items()],
    )
    _render_overlap(page, found["overlap"])
    page.heading("Lo que se cumple de lo prometido", "How much of the claims came true")
    page.note(
        "Medido en contactos con su probabilidad registrada: así no cuenta lo que movió a los gestores sin estar en "
        "los datos.",
        "Measured on contacts with a logged probability, so that what moved collectors and is not in the data does not "
        "count.",
    )
    page.table(
        ["Canal / Channel", "Factor medido / Measured factor", "Factor usado / Used factor"],
        [
            [
                name,
                f"{v['value']:.2f} ± {v['error']:.2f}" if v["value"] == v["value"] else "–",
                f"{found['scale'][name]:.2f}",
            ]
            for name, v in found["scale_measured"].items()
        ],
    )
    page.table(
        ["Canal / Channel", "No logrados frente a no contactados / Not reached against left alone", "z"],
        [[name, f"{v['difference']:+.3f}", f"{v['z']:+.1f}"] for name, v in found["reach_check"].items()],
    )
    for es, limit in zip(LIMITS_ES, card["limits"], strict=True):
        page.note(es, limit)
    return page.html()


def _render_overlap(page: cards.Page, found: dict[str, Any]) -> None:
    """What the log is worth for the planned contacts; a refusal says so."""
    page.heading("Cuánto dice el registro del plan", "How much the log says about the plan")
    refused = why_refused(found)
    page.note(
        f"Los {found['planned_count']:,} contactos del plan equivalen a {found['effective_sample']:,.0f} observados"
        + ("; es muy poco: no se decide con esto." if refused else "."),
        f"The {found['planned_count']:,} planned contacts are worth {found['effective_sample']:,.0f} observed ones"
        + ("; too few: nothing is decided by them." if refused else "."),
    )
    page.table(
        ["Canal / Channel", "Observados equivalentes / Worth observed"],
        [[name, f"{worth:,.0f}"] for name, worth in found["by_channel"].items()],
    )
