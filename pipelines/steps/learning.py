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


def learn_default_risk(day: Day) -> dict[str, Any]:
    """Train, evaluate and register default risk when the day's plan has dates for it."""
    if not _is_planned(day, "is_risk_training"):
        return _kept(day, RISK_MODEL)
    settings = day.settings.default_risk
    model = train_default_risk(
        day.warehouse.read_table("features.feat_loan__as_of", where={"is_risk_training": True}, order_by=["as_of_date", "loan_id"]),
        day.warehouse.read_table("features.label_loan__default", order_by=["as_of_date", "loan_id"]),
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
    return _registered(day, RISK_MODEL, model)


def learn_contact_channel(day: Day) -> dict[str, Any]:
    """Train, evaluate and register the effect of contacts when the day's plan has dates for it."""
    if not _is_planned(day, "is_channel_training"):
        return _kept(day, CHANNEL_MODEL)
    model = train_contact_channel(
        day.warehouse.read_table(
            "features.feat_customer__as_of", where={"is_channel_training": True}, order_by=["as_of_date", "customer_id"]
        ),
        day.warehouse.read_table("features.label_customer__contact_response", order_by=["as_of_date", "customer_id"]),
        as_of=day.as_of,
        channels=list(day.settings.channels),
        settings=ContactChannelSettings(n_jobs=day.settings.runtime.threads),
        seed=day.settings.decision.seed,
    )
    off = model.reason if isinstance(model, ChannelModelOff) else None
    _note_off(day, CHANNEL_MODEL, off)
    if off is not None:
        return {"status": "off", "reason": off}
    return _registered(day, CHANNEL_MODEL, model)


def _note_off(day: Day, name: str, reason: str | None) -> None:
    """Why a model is off stays readable on the days on which nothing is trained."""
    rows = pd.DataFrame({"model_name": [name] if reason else [], "reason": [reason] if reason else []}, dtype=object)
    day.warehouse.replace_table("ml.models_off", rows)


def _is_planned(day: Day, flag: str) -> bool:
    dates = day.warehouse.read_table("control.as_of_dates", ["as_of_date"], where={flag: True})
    return not dates.empty


def _kept(day: Day, name: str) -> dict[str, Any]:
    row = day.registry.row_for(name, day.as_of)
    return {"status": "kept" if row else "off", "version": row["version"] if row else "none"}


def _registered(day: Day, name: str, model: Any) -> dict[str, Any]:
    version = day.registry.register(name, model)
    day.registry.promote(name, version, reason="newest model trained on matured data", decided_on=day.as_of)
    return {"status": "trained", "version": version, **_headline(model.card)}


def _headline(card: dict[str, Any]) -> dict[str, Any]:
    """The card's numbers, flat, for the run's log."""
    flat = pd.json_normalize(card.get("metrics", {}), sep="_").to_dict("records")
    return {key: value for key, value in (flat[0] if flat else {}).items() if isinstance(value, int | float | str)}
