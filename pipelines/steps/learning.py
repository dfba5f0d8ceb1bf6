"""Trains what is due and promotes it by the written rule; otherwise says why the champion stays."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pandas as pd

from models.contact_channel.card import decision_texts
from models.contact_channel.judge import decide_promotion
from models.contact_channel.settings import ContactChannelSettings
from models.contact_channel.train import ChannelModelOff
from models.contact_channel.train import train as train_contact_channel
from models.default_risk.evaluate import PROTECTED_COLUMNS
from models.default_risk.promotion import Verdict, decide, held, held_reason, matured_evidence
from models.default_risk.score import DefaultRiskModel
from models.default_risk.settings import DefaultRiskSettings
from models.default_risk.train import train as train_default_risk
from models.features import CUSTOMER_FEATURES, LOAN_FEATURES
from models.kept_promise.settings import KeptPromiseSettings
from models.kept_promise.train import train as train_kept_promise
from models.limits import load_limits
from models.provenance import label_definition
from models.recovery.columns import recovery_frame
from models.recovery.score import RecoveryOff
from models.recovery.settings import RecoverySettings
from models.recovery.train import train as train_recovery
from models.registry import hold_of
from pipelines.day import Day
from pipelines.dbt import dbt_vars
from pipelines.steps.champions import CHANNEL_MODEL, PROMISE_MODEL, RECOVERY_MODEL, RISK_MODEL, champion_row
from pipelines.steps.feature_rows import climate_of, feature_rows
from pipelines.steps.training_rows import keep_training_rows
from pipelines.steps.willingness import training_version

_WHY_RISK = {
    "boosted": "the newest model, trained and calibrated on matured labels",
    "curve": "too few defaults have matured for trees: a curve over past-due days, drawn to a written prior",
    "prior": "no label has matured yet: the written prior over past-due days",
}


def risk_settings(day: Day) -> DefaultRiskSettings:
    """The institution's definition of default, and the threads of this machine."""
    chosen = day.settings.default_risk
    return DefaultRiskSettings(
        past_due_days=chosen.past_due_days,
        horizon_days=chosen.horizon_days,
        early_past_due_days=chosen.early_past_due_days,
        early_horizon_days=chosen.early_horizon_days,
        n_jobs=day.settings.runtime.threads,
    )


def learn_default_risk(day: Day) -> dict[str, Any]:
    """Train, evaluate and register default risk when the day's plan has dates for it, or when there is no model yet.

    Every loan needs a probability from the first day on: without anything to learn from, the written prior stands.
    """
    if not _is_planned(day, "is_risk_training") and champion_row(day, RISK_MODEL) is not None:
        return _kept(day, RISK_MODEL)
    settings = risk_settings(day)
    willingness = training_version(day)
    features = feature_rows(day, LOAN_FEATURES, "is_risk_training", willingness)
    labels = day.warehouse.read_table("features.label_loan__default", order_by=["as_of_date", "loan_id"])
    keep_training_rows(day, RISK_MODEL, features, labels)
    model = train_default_risk(
        features,
        labels,
        as_of=day.as_of,
        settings=settings,
        seed=day.settings.decision.seed,
        people=_people(day),
        segments=_segments(day),
        climate=climate_of(day, willingness),
    )
    model = replace(model, willingness_version=willingness)
    verdict = _risk_verdict(day, model, labels, settings)
    model = replace(model, card=model.card | {"promotion": verdict.to_card()})
    why = f"{_WHY_RISK[model.kind]}. {verdict.reason}" if verdict.promote else verdict.reason
    return _registered(day, RISK_MODEL, model, promote=verdict.promote, why=why)


def _people(day: Day) -> pd.DataFrame:
    """Protected attributes of every member, as far as they are recorded: for the card's disparity report alone."""
    people = day.warehouse.read_table("marts.dim_customers", order_by=["customer_id"])
    return people[["customer_id", *(name for name in PROTECTED_COLUMNS if name in people.columns)]]


def _segments(day: Day) -> list[tuple[str, int]]:
    """The institution's segments of past-due days: code and first day."""
    ladder = day.warehouse.read_table("reference.segments", ["segment_code", "min_days"], order_by=["min_days"])
    return [(str(code), int(first)) for code, first in zip(ladder["segment_code"], ladder["min_days"], strict=True)]


def _risk_verdict(
    day: Day,
    model: DefaultRiskModel,
    labels: pd.DataFrame,
    settings: DefaultRiskSettings,
) -> Verdict:
    """What the written rule says of a new model against the champion of the date."""
    rule = load_limits(RISK_MODEL, day.home.policies).promotion
    row = champion_row(day, RISK_MODEL)
    if row is None:
        fits = day.registry.row_for(RISK_MODEL, day.as_of) is None
        return decide(model.kind, None, None, rule, as_of=day.as_of, fits=fits)
    champion: DefaultRiskModel = day.registry.load(RISK_MODEL, row["version"])
    evidence = None
    if model.kind == champion.kind == "boosted":
        evidence = matured_evidence(
            champion,
            feature_rows(day, LOAN_FEATURES, "is_risk_training", champion.willingness_version),
            labels,
            as_of=day.as_of,
            settings=settings,
            least_events=rule.least_events,
            seed=day.settings.decision.seed,
            climate=climate_of(day, champion.willingness_version),
        )
    return held(decide(model.kind, champion, evidence, rule, as_of=day.as_of), hold_of(row))


def learn_contact_channel(day: Day) -> dict[str, Any]:
    """Train, evaluate and register the effect of contacts when the day's plan has dates for it."""
    if not _is_planned(day, "is_channel_training"):
        return _kept(day, CHANNEL_MODEL)
    willingness = training_version(day)
    features = feature_rows(day, CUSTOMER_FEATURES, "is_channel_training", willingness)
    labels = day.warehouse.read_table(
        "features.label_customer__contact_response", order_by=["as_of_date", "customer_id"]
    )
    keep_training_rows(day, CHANNEL_MODEL, features, labels)
    model = train_contact_channel(
        features,
        labels,
        as_of=day.as_of,
        channels=list(day.settings.channels),
        settings=ContactChannelSettings(n_jobs=day.settings.runtime.threads),
        seed=day.settings.decision.seed,
    )
    if isinstance(model, ChannelModelOff):
        _note_off(day, CHANNEL_MODEL, model.reason, model.reason_es)
        return {"status": "off", "reason": model.reason}
    chosen = day.settings.contact_channel
    decision = decide_promotion(
        model.card["evaluation"], proof=chosen.promotion, least_effective_sample=chosen.least_effective_sample
    )
    card = model.card | {"currency": day.settings.institution.currency, "decision": decision}
    model = replace(
        model,
        willingness_version=willingness,
        card=card,
        promote=decision["promote"],
        decision=decision["reason"],
    )
    why_es, why = decision_texts(card)
    return _registered(day, CHANNEL_MODEL, model, promote=model.promote, why=why, why_es=why_es)


_WHY_PROMISE = {
    "boosted": (
        "el modelo más nuevo, calibrado en promesas resueltas; en las posteriores no peor que el historial del socio",
        "the newest model, calibrated on settled promises; on later ones no worse than the member's own record",
    ),
    "rate": (
        "pocas promesas resueltas, o árboles no mejores que el historial del socio: ese, acercado al de los demás",
        "too few settled promises, or trees no better than the member's own record: that record, drawn to the rest",
    ),
}
"""In Spanish and English."""
_WHY_RECOVERY = (
    "el modelo más nuevo: el nivel de los pagos se mueve, y su prueba hacia atrás está en la ficha",
    "the newest model: the level of payments moves, and its back-test is in the card",
)


def learn_kept_promise(day: Day) -> dict[str, Any]:
    """Train and register the probability of a kept promise when the plan has training dates; the newest is in force."""
    if not _is_planned(day, "is_channel_training"):
        return _kept(day, PROMISE_MODEL)
    model = train_kept_promise(
        day.warehouse.read_table(
            "features.feat_promise__as_of", where={"is_score": False}, order_by=["as_of_date", "promise_id"]
        ),
        day.warehouse.read_table("features.label_promise__kept", order_by=["promise_id"]),
        as_of=day.as_of,
        settings=KeptPromiseSettings(n_jobs=day.settings.runtime.threads),
        seed=day.settings.decision.seed,
    )
    why_es, why = _WHY_PROMISE[model.kind]
    return _registered(day, PROMISE_MODEL, model, promote=True, why=why, why_es=why_es)


def learn_recovery(day: Day) -> dict[str, Any]:
    """Train and register expected recovery when the plan has training dates; the newest is in force: levels move."""
    if not _is_planned(day, "is_channel_training"):
        return _kept(day, RECOVERY_MODEL)
    settings, willingness = day.settings.expected_recovery, training_version(day)
    with day.warehouse.connection():
        horizon = day.warehouse.read_table(
            "features.feat_customer__recovery", where={"is_score": False}, order_by=["as_of_date", "customer_id"]
        )
        customers = feature_rows(day, CUSTOMER_FEATURES, "is_channel_training", willingness)
        labels = day.warehouse.read_table("features.label_customer__recovery", order_by=["as_of_date", "customer_id"])
    model = train_recovery(
        recovery_frame(customers, horizon),
        labels,
        as_of=day.as_of,
        settings=RecoverySettings(
            horizon_days=settings.horizon_days, confidence=settings.confidence, n_jobs=day.settings.runtime.threads
        ),
        seed=day.settings.decision.seed,
    )
    if isinstance(model, RecoveryOff):
        _note_off(day, RECOVERY_MODEL, model.reason)
        return {"status": "off", "reason": model.reason}
    model = replace(model, willingness_version=willingness)
    why_es, why = _WHY_RECOVERY
    return _registered(day, RECOVERY_MODEL, model, promote=True, why=why, why_es=why_es)


def _note_off(day: Day, name: str, reason: str | None, reason_es: str = "") -> None:
    """Why a model is off stays readable on the days on which nothing is trained."""
    reasons = models_off(day)
    reasons.pop(name, None)
    if reason is not None:
        reasons[name] = {"reason": reason, "reason_es": reason_es or reason}
    columns: dict[str, list[str]] = {"model_name": list(reasons)}
    columns |= {key: [why[key] for why in reasons.values()] for key in ("reason", "reason_es")}
    # text columns also when no model is off: an empty list alone would make numbers of them
    day.warehouse.replace_table("ml.models_off", pd.DataFrame(columns, dtype=object))


def models_off(day: Day) -> dict[str, dict[str, str]]:
    """Models without a champion, and why: ``reason`` and, in Spanish where it is told, ``reason_es``."""
    if not day.warehouse.table_exists("ml.models_off"):
        return {}
    rows = day.warehouse.read_table("ml.models_off", order_by=["model_name"])
    if "reason_es" not in rows:  # of an older release
        rows = rows.assign(reason_es=rows["reason"])
    return {row["model_name"]: {name: row[name] for name in ("reason", "reason_es")} for row in rows.to_dict("records")}


def _is_planned(day: Day, flag: str) -> bool:
    dates = day.warehouse.read_table("control.as_of_dates", ["as_of_date"], where={flag: True})
    return not dates.empty


def _kept(day: Day, name: str) -> dict[str, Any]:
    row = champion_row(day, name)
    return {"status": "kept" if row else "off", "version": row["version"] if row else "none"}


def _registered(day: Day, name: str, model: Any, *, promote: bool, why: str, why_es: str = "") -> dict[str, Any]:
    """Register the model and make it champion when the written rule says so; the champion before it stays otherwise.

    It also stays while somebody's rollback holds it. Either way the registry says why, then with what the rule said.
    """
    version = day.registry.register(name, model, label=label_definition(name, dbt_vars(day.settings)))
    hold = hold_of(champion_row(day, name)) if promote else None
    if hold is not None:
        promote, (why_es, why) = False, held_reason(hold, (why_es or why, why))
    decide = day.registry.promote if promote else day.registry.decline
    decide(name, version, reason=f"{why_es} · {why}" if why_es else why, decided_on=day.as_of)
    _note_off(day, name, None if champion_row(day, name) else why, why_es)
    status = "trained and promoted" if promote else "trained, not promoted"
    return {"status": status, "version": version, "reason": why, **_headline(model.card)}


def _headline(card: dict[str, Any]) -> dict[str, Any]:
    """The card's numbers, flat, for the run's log."""
    flat = pd.json_normalize(card.get("metrics", {}), sep="_").to_dict("records")
    return {key: value for key, value in (flat[0] if flat else {}).items() if isinstance(value, int | float | str)}
