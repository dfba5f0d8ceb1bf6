"""How the models do on dates that they did not learn from: quality, drift and what their plans are worth (K86-K90).

Figures come from scores stored on past dates once their outcome is known; until then from the champion's own card. The
detail of a figure says which: ``<target>|matured`` or ``<target>|card``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from models.features import FeatureSpec, encode
from models.metrics import (
    ece_interval,
    level_stability,
    metrics_with_interval,
    new_level_share,
    quality,
    reference_bins,
    reference_levels,
    slope_interval,
    stability_index,
)
from puntual.kpis.values import KpiValues

Measured = tuple[str, str | None, float]
LEAST_EVENTS = 20
ALARM_EVENTS = 50
"""Fewer matured events, or rows without one, are shown as figures and raise no alarm."""
QUALITY_CODES = {
    "auc": "K86",
    "pr_auc": "K86_PR_AUC",
    "ks": "K86_KS",
    "brier": "K87_BRIER",
    "log_loss": "K87_LOG_LOSS",
    "slope": "K87_SLOPE",
    "intercept": "K87_INTERCEPT",
    "ece": "K87_ECE",
}
_NOT_COMPARED = {"day_of_month", "day_of_year"}


def reference_of(spec: FeatureSpec, matrix: np.ndarray, texts: pd.DataFrame | None = None) -> dict[str, dict[str, Any]]:
    """Groups of every number of the encoded features, days of the calendar left out, and the levels of every category.

    Levels are read from ``texts``, rows of the table before encoding: a code tells a missing text from a rare one no
    more. Without ``texts`` categories are left out.
    """
    skipped = set(spec.category_names) | _NOT_COMPARED
    found: dict[str, dict[str, Any]] = {
        name: dict(reference_bins(matrix[:, place]))
        for place, name in enumerate(spec.feature_names)
        if name not in skipped
    }
    if texts is not None:
        found |= {name: reference_levels(texts[name]) for name in spec.category_names}
    return found


def _feature_index(reference: Mapping[str, Any], encoded: np.ndarray, texts: pd.Series) -> float:
    """Stability index of one feature: of its levels when the reference knows them, else of its numbers."""
    return level_stability(reference, texts) if "levels" in reference else stability_index(reference, encoded)


def model_quality(
    values: KpiValues, target: str, outcome: np.ndarray, probability: np.ndarray, card: Mapping[str, float] | None
) -> bool:
    """K86 and K87 of one target: from matured scores when there are enough events and non-events, else from the card.

    Returns whether there was anything to say.
    """
    events = float(np.sum(outcome))
    if min(events, len(outcome) - events) >= LEAST_EVENTS:
        measured, source = quality(outcome, probability), "matured"
    elif card:
        measured, source = dict(card), "card"
    else:
        return False
    for name, code in QUALITY_CODES.items():
        if name in measured:
            values.add(code, measured[name], detail=f"{target}|{source}")
    return True


def drift(
    values: KpiValues,
    model: str,
    reference: Mapping[str, Any] | None,
    spec: FeatureSpec,
    features: pd.DataFrame,
    categories: Mapping[str, list[str]],
    score: np.ndarray | None,
) -> None:
    """K88: stability index of every feature, and of the score, against the rows learnt from.

    A reference of an older release has no levels of categories; these are then left out.

    ``<model>`` alone is the largest of the features; ``<model>|<feature>`` and ``<model>|score`` are the single ones.
    """
    if not reference or features.empty:
        return
    matrix = encode(spec, features, dict(categories))
    found = {
        name: _feature_index(reference[name], matrix[:, place], features[name])
        for place, name in enumerate(spec.feature_names)
        if name in reference
    }
    if found:
        values.add("K88", max(found.values()), detail=model)
    for name, value in found.items():
        values.add("K88", value, detail=f"{model}|{name}")
    if score is not None and "score" in reference:
        values.add("K88", stability_index(reference["score"], score), detail=f"{model}|score")


def risk_measures(
    reference: Mapping[str, Any] | None,
    spec: FeatureSpec,
    features: pd.DataFrame,
    categories: Mapping[str, list[str]],
    score: np.ndarray,
) -> list[Measured]:
    """What today's rows and scores say about a risk model: measure, feature and value, for the limits of the model.

    1. ``psi_score`` and ``psi_feature``: stability index against the rows learnt from; of a category over its levels,
       all other texts and missing ones.
    2. ``new_level_share``: of a category, the share of rows whose text was on no row learnt from.
    3. ``missing_share_jump``: a feature's share of missing values today less that of the rows learnt from.
    4. ``mean_score_ratio``: today's mean score over that of the rows learnt from.

    A reference of an older release has no levels of categories, and says nothing of them.
    """
    if not reference or features.empty:
        return []
    matrix = encode(spec, features, dict(categories))
    found: list[Measured] = []
    for place, name in enumerate(spec.feature_names):
        if name not in reference:
            continue
        counts = np.asarray(reference[name]["counts"], dtype=float)
        is_category = "levels" in reference[name]
        empty = features[name].isna().to_numpy() if is_category else np.isnan(matrix[:, place])
        missing = float(empty.mean()) - float(counts[0] / max(counts.sum(), 1.0))
        found.append(("psi_feature", name, _feature_index(reference[name], matrix[:, place], features[name])))
        if is_category:
            found.append(("new_level_share", name, new_level_share(reference[name], features[name])))
        found.append(("missing_share_jump", name, missing))
    if "score" in reference:
        found.append(("psi_score", None, stability_index(reference["score"], score)))
        if reference["score"].get("mean"):
            found.append(("mean_score_ratio", None, float(np.nanmean(score) / reference["score"]["mean"])))
    return found


def matured_measures(
    outcome: np.ndarray,
    probability: np.ndarray,
    card: Mapping[str, Any] | None,
    members: np.ndarray | None = None,
) -> list[Measured]:
    """What matured scores surely show, for the limits of the model; none under ``ALARM_EVENTS`` events or others.

    Each is the end of its 95 % interval that lies nearest to being in order, so that chance alone raises no alarm:
    ``ece`` the least calibration error, ``calibration_slope`` the slope nearest to 1, ``auc_drop`` the least that was
    lost against the card. Rows of one of ``members`` are one piece of evidence; without them every row is one.
    """
    events = float(np.sum(outcome))
    if min(events, len(outcome) - events) < ALARM_EVENTS:
        return []
    who = np.arange(len(outcome)) if members is None else members
    slope = slope_interval(outcome, probability, who)
    found: list[Measured] = [
        ("ece", None, ece_interval(outcome, probability, who)["low"]),
        ("calibration_slope", None, float(np.clip(1.0, slope["low"], slope["high"]))),
    ]
    if card and card.get("auc") is not None:
        ranked = metrics_with_interval(outcome, probability, who)["auc"]
        found.append(("auc_drop", None, max(0.0, float(card["auc"]) - ranked["high"])))
    return found


def plan_value(values: KpiValues, card: Mapping[str, Any]) -> None:
    """K90: doubly robust value of the champion's plan per member and week, with what the log can say about it."""
    judged = card.get("evaluation") or {}
    if judged.get("split") is None:
        reason = str(judged.get("reason", "no evaluation"))
        for code in ("K90", "K90_AGAINST_HABIT", "K90_ESS", "K90_OVERLAP"):
            values.off(
                code, "El modelo de canales no pudo evaluarse: no hay historia suficiente.", f"Not judged: {reason}."
            )
        return
    chosen = judged["chosen"]
    for code, block in (("K90", "value_per_member_week"), ("K90_AGAINST_HABIT", "against_habit")):
        value = judged[block][chosen]
        values.add_interval(code, (value["value"], value["low"], value["high"]))
    worth = judged["overlap"]
    values.add("K90_ESS", worth["effective_sample"], float(worth["planned_count"]))
    shares = judged["supported_share"]
    values.add("K90_OVERLAP", float(np.mean(list(shares.values()))))
    for channel, share in sorted(shares.items()):
        values.add("K90_OVERLAP", share, grain="channel", keys={"channel_code": channel})
