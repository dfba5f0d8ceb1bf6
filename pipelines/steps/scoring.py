"""Scores the business date with the champions that were in force for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pandas as pd

from models.features import CUSTOMER_FEATURES, LOAN_FEATURES
from pipelines.day import Day
from pipelines.steps.champions import CHANNEL_MODEL, RISK_MODEL, champion
from pipelines.steps.decided import decided_columns, store_decided
from pipelines.steps.feature_rows import climate_of, feature_rows
from puntual.errors import ModelError


@dataclass(frozen=True)
class ScoreOutcome:
    """Whether the scores are complete and within range, and what to log."""

    passed: bool
    metadata: dict[str, Any]


def score_default_risk(day: Day) -> ScoreOutcome:
    """Probability of default and early warning for every open loan of the date, into ``ml.default_risk_scores``.

    Raises:
        ModelError: there is no champion for the date, or none that fits the features.
    """
    model = champion(day, RISK_MODEL)
    if model is None:
        raise ModelError(f"default_risk has no champion for {day.as_of}; train one: puntual train {day.home.root}")
    features = feature_rows(day, LOAN_FEATURES, "is_score", model.willingness_version)
    scores, reasons = model.predict_with_reasons(features, climate_of(day, model.willingness_version))
    rows = store_decided(day.warehouse, "ml.default_risk_scores", scores, day.as_of)
    store_decided(day.warehouse, "ml.default_risk_reasons", reasons, day.as_of)
    probabilities = scores[["default_probability", "early_warning_probability"]]
    within = (probabilities >= 0) & (probabilities <= 1)  # False for a missing one
    passed = len(scores) == len(features) and bool(within.all(axis=None))
    return ScoreOutcome(
        passed,
        {
            "rows": rows,
            "model_version": model.version,
            "mean_default_probability": float(scores["default_probability"].mean()) if rows else 0.0,
        },
    )


def score_contact_channel(day: Day) -> dict[str, Any]:
    """Gain of every channel for every eligible member of the date, into ``ml.channel_scores``; none when it is off."""
    model = champion(day, CHANNEL_MODEL)
    if model is None:
        scores = pd.DataFrame(columns=list(decided_columns("ml.channel_scores")))
        store_decided(day.warehouse, "ml.channel_scores", scores, day.as_of)
        return {"rows": 0, "status": "off"}
    features = feature_rows(day, CUSTOMER_FEATURES, "is_score", model.willingness_version)
    scores = model.predict(features, list(day.settings.channels))
    rows = store_decided(day.warehouse, "ml.channel_scores", scores, day.as_of)
    return {"rows": rows, "status": "on", "model_version": model.version}
