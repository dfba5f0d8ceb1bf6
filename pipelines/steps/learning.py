"""Trains what is due and promotes it by the written rule; otherwise says why the champion stays."""

from __future__ import annotations

from typing import Any

import pandas as pd

from models.contact_channel.settings import ContactChannelSettings
from models.contact_channel.train import ChannelModelOff
from models.contact_channel.train import train as train_contact_channel
from models.default_risk.settings import DefaultRiskSettings
from models.default_risk.train import train as train_default_risk
from pipelines.day import Day
from pipelines.steps.plan import CHANNEL_MODEL, RISK_MODEL
from pipelines.steps.training_rows import keep_training_rows

_WHY_RISK = {
    "boosted": "the newest model, trained and calibrated on matured labels",
    "curve": "too few defaults have matured for trees: a curve over past-due days, drawn to a written prior",
    "prior": "no label has matured yet: the written prior over past-due days",
}


def learn_default_risk(day: Day) -> dict[str, Any]:
    """Train, evaluate and register default risk when the day's plan has dates for it, or when there is no model yet.

    Every loan needs a probability from the first day on: without anything to learn from, the written prior stands.
    """
    if not _is_planned(day, "is_risk_training") and day.registry.row_for(RISK_MODEL, day.as_of) is not None:
        return _kept(day, RISK_MODEL)
    settings = day.settings.default_risk
    features = day.warehouse.read_table(
        "features.feat_loan__as_of", where={"is_risk_training": True}, order_by=["as_of_date", "loan_id"]
    )
    labels = day.warehouse.read_table("features.label_loan__default", order_by=["as_of_date", "loan_id"])
    keep_training_rows(day, RISK_MODEL, features, labels)
    model = train_default_risk(
        features,
        labels,
        as_of=day.as_of,
        settings=DefaultRiskSettings(
            past_due_days=settings.past_due_days,
            horizon_days=settings.horizon_days,
            early_past_due_days=settings.early_past_due_days,
            early_horizon_days=settings.early_horizon_days,
            n_jobs=day.settings.runtime.threads,
        ),
        seed=day.settings.decision.seed,
    )
    return _registered(day, RISK_MODEL, model, promote=True, why=_WHY_RISK[model.kind])


def learn_contact_channel(day: Day) -> dict[str, Any]:
    """Train, evaluate and register the effect of contacts when the day's plan has dates for it."""
    if not _is_planned(day, "is_channel_training"):
        return _kept(day, CHANNEL_MODEL)
    features = day.warehouse.read_table(
        "features.feat_customer__as_of", where={"is_channel_training": True}, order_by=["as_of_date", "customer_id"]
    )
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
        _note_off(day, CHANNEL_MODEL, model.reason)
        return {"status": "off", "reason": model.reason}
    likely = day.settings.contact_channel.promotion == "likely" and _beats_habit(model.card)
    return _registered(day, CHANNEL_MODEL, model, promote=model.promote or likely, why=model.decision)


def _beats_habit(card: dict[str, Any]) -> bool:
    """Whether the plan's estimated value on later weeks is above the habit's, its interval aside."""
    against = card.get("evaluation", {}).get("against_habit", {}).get(card.get("learner"))
    return against is not None and against["value"] > 0


def _note_off(day: Day, name: str, reason: str | None) -> None:
    """Why a model is off stays readable on the days on which nothing is trained."""
    reasons = models_off(day)
    reasons.pop(name, None)
    if reason is not None:
        reasons[name] = reason
    rows = pd.DataFrame({"model_name": list(reasons), "reason": list(reasons.values())}, dtype=object)
    day.warehouse.replace_table("ml.models_off", rows)


def models_off(day: Day) -> dict[str, str]:
    """Models without a champion, and why."""
    if not day.warehouse.table_exists("ml.models_off"):
        return {}
    rows = day.warehouse.read_table("ml.models_off", order_by=["model_name"])
    return dict(zip(rows["model_name"], rows["reason"], strict=True))


def _is_planned(day: Day, flag: str) -> bool:
    dates = day.warehouse.read_table("control.as_of_dates", ["as_of_date"], where={flag: True})
    return not dates.empty


def _kept(day: Day, name: str) -> dict[str, Any]:
    row = day.registry.row_for(name, day.as_of)
    return {"status": "kept" if row else "off", "version": row["version"] if row else "none"}


def _registered(day: Day, name: str, model: Any, *, promote: bool, why: str) -> dict[str, Any]:
    """Register the model and make it champion when the written rule says so; the champion before it stays otherwise."""
    version = day.registry.register(name, model)
    if promote:
        day.registry.promote(name, version, reason=why, decided_on=day.as_of)
    _note_off(day, name, None if day.registry.row_for(name, day.as_of) else why)
    status = "trained and promoted" if promote else "trained, not promoted"
    return {"status": status, "version": version, "reason": why, **_headline(model.card)}


def _headline(card: dict[str, Any]) -> dict[str, Any]:
    """The card's numbers, flat, for the run's log."""
    flat = pd.json_normalize(card.get("metrics", {}), sep="_").to_dict("records")
    return {key: value for key, value in (flat[0] if flat else {}).items() if isinstance(value, int | float | str)}
