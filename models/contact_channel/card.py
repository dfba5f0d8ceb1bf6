"""The card of a channel model: what it learnt from, which learner was chosen and why, and what it may not be asked."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from models import cards
from models.charts import bar_chart, interval_chart
from models.contact_channel.judge import LEAST_EFFECTIVE_SAMPLE, decide_promotion, why_refused
from models.contact_channel.rows import NONE, ChannelRows
from models.contact_channel.score import ContactChannelModel
from models.contact_channel.settings import BEST_ARM, CANDIDATES
from models.features import CUSTOMER_FEATURES
from models.monitoring import reference_of

REFERENCE_ROWS = 20_000

LEARNERS = {
    "effect_through_reach": ("Efecto a través del contacto logrado", "Effect through reach"),
    "intention_to_treat": ("Efecto del intento", "Effect of the attempt"),
    "s_learner": ("Una respuesta para todos los canales (S)", "One response for all channels (S)"),
    "t_learner": ("Una respuesta por canal (T)", "One response per channel (T)"),
    "x_learner": ("Efectos cruzados (X)", "Crossed effects (X)"),
    "r_learner": ("Residuos sobre residuos (R)", "Residuals on residuals (R)"),
    "dr_learner": ("Doblemente robusto (DR)", "Doubly robust (DR)"),
    "causal_forest": ("Bosque causal", "Causal forest"),
    "policy_tree": ("Árbol de política: pocos segmentos", "Policy tree: a few segments"),
    "constant_effect": ("Un efecto fijo por canal", "One constant effect per channel"),
    "best_arm": ("El mejor canal, igual para todos", "The best channel, the same for all"),
    "response_score": ("Puntaje de respuesta (solo comparación)", "Response score (comparison only)"),
    "habit": ("Lo que hace hoy la institución", "The institution's present habit"),
}

CHANNELS = {
    "call": ("Llamada", "Call"),
    "ivr": ("Llamada automática", "Automated call"),
    "whatsapp": ("WhatsApp", "WhatsApp"),
    "sms": ("SMS", "SMS"),
    "email": ("Correo electrónico", "Email"),
    "visit": ("Visita", "Visit"),
    "letter": ("Carta", "Letter"),
    "web_chat": ("Chat web", "Web chat"),
}

LOG_ODDS, CHANGE = ("log de las posibilidades", "log odds"), ("cambio de la probabilidad", "change of the probability")
UNITS = {
    "effect_through_reach": LOG_ODDS,
    "intention_to_treat": LOG_ODDS,
    "constant_effect": LOG_ODDS,
    "best_arm": ("dinero por contacto", "money per contact"),
    "policy_tree": ("dinero por contacto", "money per contact"),
}

LIMITS_ES = (
    "El primer contacto de la semana cuenta como tratamiento, aunque un pago haya llegado antes en la misma semana.",
    "Lo que movió a los gestores y no está en los datos puede sesgar los efectos; los contactos al azar lo corrigen.",
)

NOT_JUDGED_ES = {
    "weeks of history are too few to hold any out": "hay muy pocas semanas de historia para apartar algunas",
    "too few contacts, or too few members left alone": (
        "antes de las semanas apartadas hay muy pocos contactos, o muy pocos socios sin contacto"
    ),
    "no payment before the held-out weeks": (
        "no hay pagos antes de las semanas apartadas, o no hay contactos en ellas"
    ),
}


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
    found, decision = card["evaluation"], card["decision"]
    page.facts(
        [
            ("Método elegido", "Chosen learner", _both(LEARNERS, card["learner"])),
            ("Entrenado con datos hasta", "Trained on data up to", card["trained_as_of"]),
            ("Semanas-socio, socios", "Member-weeks, members", f"{_n(card['row_count'])} · {_n(card['member_count'])}"),
            ("Semanas", "Weeks", f"{card['first_week']} – {card['last_week']}"),
            ("¿Reemplaza al modo actual?", "Replaces the present policy?", "sí / yes" if decision["promote"] else "no"),
        ]
    )
    page.note(*decision_texts(card))
    page.text(
        f"Las cifras van como en español: 1.234,56 es mil doscientos treinta y cuatro con 56. {_money(card)[0]}",
        f"Figures are written the Spanish way: 1.234,56 is one thousand two hundred and so on. {_money(card)[1]}",
    )
    _render_channels(page, card)
    page.heading("Evaluación en semanas posteriores", "Evaluation on later weeks")
    if found.get("split") is None:
        page.note(f"No se midió: {_not_judged_es(found['reason'])}.", f"Not judged: {found['reason']}.")
        return page.html()
    _render_values(page, found)
    _render_overlap(page, found["overlap"], _least_sample(card))
    _render_claims(page, found)
    for es, limit in zip(LIMITS_ES, card["limits"], strict=True):
        page.note(es, limit)
    return page.html()


def decision_texts(card: dict[str, Any]) -> tuple[str, str]:
    """Why the plan replaces the present policy or does not, in Spanish and in English, from the figures of the card."""
    found = card["evaluation"]
    if found.get("split") is None:
        return (
            f"No reemplaza: no hay con qué medirlo; {_not_judged_es(found['reason'])}.",
            f"Does not replace it: nothing to measure it by; {found['reason']}.",
        )
    worth = found["overlap"]
    if why_refused(worth, _least_sample(card)):
        planned, observed = worth["planned_count"], worth["effective_sample"]
        return (
            f"No reemplaza: el registro dice muy poco sobre lo planeado: sus {_n(planned)} contactos equivalen a "
            f"{_n(observed)} observados; conviene contactar al azar a una parte de los socios.",
            f"Does not replace it: the log says too little about the plan: its {_n(planned, 0, 'en')} contacts are "
            f"worth {_n(observed, 0, 'en')} observed ones; contact a share of the members at random.",
        )
    against = found["against_habit"][found["chosen"]]
    es, en = (_range(against, language, card.get("currency", "")) for language in ("es", "en"))
    if against["low"] > 0:
        return (
            f"Mejor que el modo actual sin duda: {es} más por socio y semana.",
            f"Surely better than the present policy: {en} more per member and week.",
        )
    if card["decision"]["promote"]:
        return (
            "Reemplaza solo por la estimación (contact_channel.promotion: likely): no es seguro que sea mejor que el "
            f"modo actual; {es} por socio y semana.",
            "Replaces it by the estimate alone (contact_channel.promotion: likely): not surely better than the present "
            f"policy; {en} per member and week.",
        )
    return (
        f"No reemplaza: no es seguro que sea mejor que el modo actual; {es} por socio y semana.",
        f"Does not replace it: not surely better than the present policy; {en} per member and week.",
    )


def _least_sample(card: dict[str, Any]) -> float:
    """What the plan's contacts must be worth; a card of a release before held them against the shipped limit."""
    return float(card["decision"].get("least_effective_sample", LEAST_EFFECTIVE_SAMPLE))


def _not_judged_es(reason: str) -> str:
    return next((es for en, es in NOT_JUDGED_ES.items() if en in reason), reason)


def chosen_texts(found: dict[str, Any]) -> tuple[str, str]:
    """Why the learner was chosen, in Spanish and in English."""
    chosen, first = found["chosen"], CANDIDATES[0]
    if chosen == first:
        return "ningún otro explica mejor sin duda lo observado", "no other explains what was seen better beyond doubt"
    es, en = LEARNERS[first]
    return (
        f"explica lo observado mejor sin duda que «{es}»",
        f"it explains what was seen better beyond doubt than “{en}”",
    )


def apart_texts(found: dict[str, Any]) -> tuple[str, str]:
    """How much of the differences between members came true, in Spanish and in English; empty when none are told."""
    measured = found.get("told_apart_measured", {"value": math.nan})  # a card of a release before did not measure it
    if not _is_known(measured):
        return "", ""

    def said(language: str) -> tuple[str, str]:
        return (
            f"{_n(measured['value'], 2, language)} ± {_n(measured['error'], 2, language)}",
            _n(found["told_apart"], 2, language),
        )

    (es, used_es), (en, used_en) = said("es"), said("en")
    return (
        "De lo que distingue a unos socios de otros (1: se cumple tal cual; 0: un solo número por canal sirve igual; "
        f"más de 1: difieren más de lo aprendido) se midió {es} y se usa {used_es}.",
        "Of what tells members apart (1: it came true as learnt; 0: one number per channel does as well; above 1: they "
        f"differ by more than was learnt) {en} was measured and {used_en} is used.",
    )


def measured_texts(found: dict[str, Any]) -> tuple[str, str]:
    """On what the claims were measured, which depends on how many contacts have a logged probability."""
    share = found["logged_propensity_share"]
    if share >= 1:
        return (
            "Todos los contactos juzgados tienen su probabilidad registrada: lo que movió a los gestores sin estar en "
            "los datos no cuenta.",
            "Every judged contact has a logged probability: what moved collectors and is not in the data does not "
            "count.",
        )
    es, en = (_n(100 * share, 1, language) for language in ("es", "en"))
    return (
        f"Solo el {es} % de los contactos juzgados tiene su probabilidad registrada; la de los demás se estimó con los "
        "datos, así que lo que movió a los gestores sin estar en ellos puede sesgar esta medida.",
        f"Only {en}% of the judged contacts have a logged probability; that of the others was estimated from the data, "
        "so what moved collectors and is not in them can bias this measure.",
    )


def _render_channels(page: cards.Page, card: dict[str, Any]) -> None:
    page.heading("Canales", "Channels")
    unit = UNITS.get(card["learner"], CHANGE)
    page.table(
        [
            "Canal / Channel",
            "Intentos / Attempts",
            "Logrados / Reached",
            "Tasa / Rate",
            f"Efecto medio ({unit[0]}) / Mean effect ({unit[1]})",
        ],
        [
            [
                _both(CHANNELS, row["channel_code"]),
                _n(row["attempt_count"]),
                _n(row["reached_count"]),
                "–" if row["reach_rate"] is None else f"{_n(100 * row['reach_rate'], 1)} %",
                "sin datos / no data" if row["mean_effect"] is None else _signed(row["mean_effect"], 3),
            ]
            for row in card["channels"]
        ],
    )
    measured = card["evaluation"].get("scale_measured", {})
    drawn = []
    for row in card["channels"]:
        factor = measured.get(row["channel_code"])
        if row["mean_effect"] is not None and factor is not None and _is_known(factor):
            ends = [row["mean_effect"] * (factor["value"] + side * 1.96 * factor["error"]) for side in (-1, 0, 1)]
            low, value, high = sorted(ends)
            drawn.append((_es(CHANNELS, row["channel_code"]), value, low, high, low <= 0))
    if drawn:
        page.picture(
            f"Efecto medido por canal, con su intervalo del 95 % ({unit[0]}); en rojo, no se distingue de nada",
            f"Measured effect by channel, with its 95 % interval ({unit[1]}); in red, not told from nothing",
            cards.with_commas(interval_chart(drawn, reference=0.0, least=-3.0)),
            "El efecto aprendido por el factor que se cumplió en las semanas apartadas.",
            "The learnt effect times the factor that came true in the held-out weeks.",
        )
    reached = [
        (_es(CHANNELS, row["channel_code"]), row["reach_rate"])
        for row in card["channels"]
        if row["reach_rate"] is not None
    ]
    page.picture(
        "Parte de los intentos en que se habló con el socio o leyó el mensaje",
        "Share of the attempts that reached the member",
        cards.with_commas(bar_chart(reached)),
    )


def _parted_texts(found: dict[str, Any]) -> tuple[str, str]:
    """Which held-out weeks chose the learner and which valued its plan, in Spanish and in English."""
    judged, valued = found["test_weeks"], found["valuing_weeks"]
    if len(judged) == len(valued):
        return (
            f"La semana del {judged[0]} se repartió: la mitad de los socios eligió el método y la otra lo valoró.",
            f"The week of {judged[0]} was parted: half of the members chose the learner, the others valued it.",
        )
    begins = judged[len(judged) - len(valued)]
    return (
        f"Las semanas del {judged[0]} en adelante eligieron el método; las del {begins} en adelante, que no lo "
        "eligieron, valoran su plan.",
        f"The weeks from {judged[0]} chose the learner; those from {begins}, which did not, value its plan.",
    )


def _render_values(page: cards.Page, found: dict[str, Any]) -> None:
    es, en = chosen_texts(found)
    page.note(f"Por qué este método: {es}.", f"Why this learner: {en}.")
    page.note(*_parted_texts(found))
    page.note(
        "Valor por socio y semana con la misma cantidad de contactos por canal; intervalos del 95 % por socios.",
        "Value per member and week with the same number of contacts per channel; 95 % intervals by members.",
    )
    page.table(
        ["Plan", "Valor / Value", "Frente al hábito / Against habit", "Ajuste (R) / Fit (R)"],
        [
            [
                _both(LEARNERS, name),
                _range(value),
                _range(found["against_habit"].get(name)),
                _range(found["r_gain"].get(name)),
            ]
            for name, value in found["value_per_member_week"].items()
        ],
    )
    page.text(
        "Ajuste (R): cuánto mejor explica lo que cambiaron los contactos que no suponer ningún efecto; más es mejor.",
        "Fit (R): how much better it explains what contacts changed than no effect at all; more is better.",
    )
    page.picture(
        "Frente al hábito, por socio y semana, con su intervalo del 95 %; en rojo, no es mejor sin duda",
        "Against habit, per member and week, with its 95 % interval; in red, not surely better",
        cards.with_commas(
            interval_chart(
                [
                    (_es(LEARNERS, name), value["value"], value["low"], value["high"], value["low"] <= 0)
                    for name, value in found["against_habit"].items()
                ],
                reference=0.0,
                least=-math.inf,
                most=math.inf,
                width=760,
                left=280,
            )
        ),
    )
    page.table(
        ["Plan", "Frente a un solo número por canal / Against one number per channel"],
        [
            [_both(LEARNERS, name), _range(value)]
            for name, value in found["against_best_arm"].items()
            if name != BEST_ARM
        ],
    )


def _render_claims(page: cards.Page, found: dict[str, Any]) -> None:
    page.heading("Lo que se cumple de lo prometido", "How much of the claims came true")
    page.note(*measured_texts(found))
    claimed, measured = found["claimed_gain_per_member_week"], found["measured_gain_per_member_week"]
    page.text(
        f"El plan prometió {_n(claimed, 2)} por socio y semana frente a no contactar a nadie; se midió "
        f"{_range(measured)}.",
        f"The plan claimed {_n(claimed, 2, 'en')} per member and week against contacting nobody; measured: "
        f"{_range(measured, 'en')}.",
    )
    es, en = apart_texts(found)
    if es:
        page.text(es, en)
    known = {name: v for name, v in found["scale_measured"].items() if _is_known(v)}
    if known:
        page.picture(
            "Cumplido entre prometido, por canal: 1 es exacto, menos de 1 es que prometió de más",
            "Measured over claimed, by channel: 1 is exact, below 1 it claimed too much",
            cards.with_commas(
                interval_chart(
                    [
                        (_es(CHANNELS, name), v["value"], low, high, not low <= 1 <= high)
                        for name, v in known.items()
                        for low, high in [(v["value"] - 1.96 * v["error"], v["value"] + 1.96 * v["error"])]
                    ]
                )
            ),
        )
    page.table(
        ["Canal / Channel", "Factor medido (± error) / Measured factor (± error)", "Factor usado / Used factor"],
        [
            [
                _both(CHANNELS, name),
                f"{_n(v['value'], 2)} ± {_n(v['error'], 2)}" if name in known else "–",
                _n(found["scale"][name], 2),
            ]
            for name, v in found["scale_measured"].items()
        ],
    )
    page.text(
        "Comprobación: los intentados y no logrados deberían pagar como los no contactados; |z| mayor que 2 avisa "
        "de que no es así.",
        "Check: those tried and not reached should pay like those left alone; |z| above 2 is a sign that they do not.",
    )
    page.table(
        ["Canal / Channel", "No logrados frente a no contactados / Not reached against left alone", "z"],
        [
            [_both(CHANNELS, name), _signed(v["difference"], 3), _signed(v["z"], 1)]
            for name, v in found["reach_check"].items()
        ],
        [abs(v["z"]) > 2 for v in found["reach_check"].values()],
    )
    unsplit = found.get("by_attempt", ())  # a card of a release before split every channel
    if unsplit:
        es, en = (", ".join(CHANNELS.get(one, (one, one))[place] for one in unsplit) for place in (0, 1))
        page.note(
            f"Aquí no es así más allá de toda duda: {es}. Su efecto se aprende del intento, logrado o no.",
            f"Here they do not, beyond doubt: {en}. Its effect is learnt of the attempt, reached or not.",
        )


def _render_overlap(page: cards.Page, found: dict[str, Any], least: float) -> None:
    """What the log is worth for the planned contacts; a refusal says so."""
    page.heading("Cuánto dice el registro del plan", "How much the log says about the plan")
    refused = why_refused(found, least)
    page.note(
        f"Los {_n(found['planned_count'])} contactos del plan equivalen a {_n(found['effective_sample'])} observados"
        + ("; es muy poco: no se decide con esto." if refused else "."),
        f"The {found['planned_count']:,} planned contacts are worth {found['effective_sample']:,.0f} observed ones"
        + ("; too few: nothing is decided by them." if refused else "."),
    )
    page.table(
        ["Canal / Channel", "Observados equivalentes / Worth observed"],
        [[_both(CHANNELS, name), _n(worth)] for name, worth in found["by_channel"].items()],
    )


def _money(card: dict[str, Any]) -> tuple[str, str]:
    """In which money the values are; a card of a release before does not know."""
    currency = card.get("currency")
    if not currency:
        return "El dinero está en la moneda de la institución.", "Money is in the institution's currency."
    return f"El dinero está en {currency}.", f"Money is in {currency}."


def _both(names: dict[str, tuple[str, str]], code: str) -> str:
    """The Spanish and the English name, once when they are the same; a code without a name is its own."""
    return " / ".join(dict.fromkeys(names.get(code, (code,))))


def _es(names: dict[str, tuple[str, str]], code: str) -> str:
    return names.get(code, (code,))[0]


def _n(value: float, digits: int = 0, language: str = "es") -> str:
    return cards.number(value, digits, language)


def _signed(value: float, digits: int) -> str:
    return f"+{_n(value, digits)}" if round(value, digits) > 0 else _n(value, digits)


def _is_known(measure: Mapping[str, float | None]) -> bool:
    """Whether it was measured; a stored card has null for what is no number in a fresh one."""
    value = measure["value"]
    return value is not None and math.isfinite(value)


def _range(measure: dict[str, float] | None, language: str = "es", currency: str = "") -> str:
    """A value with its interval, in money of two decimals; nothing measured is a dash."""
    if measure is None or not _is_known(measure):
        return "–"
    value, low, high = (_n(measure[name], 2, language) for name in ("value", "low", "high"))
    return (
        f"{currency} {value} ({low}\u00a0a\u00a0{high})".strip()
        if language == "es"
        else (f"{currency} {value} ({low}\u00a0to\u00a0{high})".strip())
    )
