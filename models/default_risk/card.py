"""The card of a default-risk model: what it learnt from, how good it is, and how it may be read."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from models.default_risk.backtest import backtest
from models.default_risk.card_page import render
from models.default_risk.climate import climate_measures, expected_climate
from models.default_risk.evaluate import DEFAULT_SEGMENTS, PROTECTED_COLUMNS, Segments, compare
from models.default_risk.score import BoostedTarget, DefaultRiskModel
from models.estimators import BinnedMatrix, BoosterSettings, contributions
from models.features import LOAN_FEATURES
from models.metrics import reference_bins
from models.monitoring import reference_of
from models.willingness.climate import Climate

__all__ = ["build_card", "headline", "render"]

if TYPE_CHECKING:
    from models.default_risk.train import TargetRows

SHAPE_ROWS, REFERENCE_ROWS = 2_000, 20_000


def build_card(
    model: DefaultRiskModel,
    parts: dict[str, TargetRows],
    notes: dict[str, dict[str, Any]],
    table: pd.DataFrame,
    binned: BinnedMatrix | None,
    booster: BoosterSettings,
    *,
    fit: Callable[..., tuple[Any, dict[str, Any]]],
    seed: int,
    people: pd.DataFrame | None = None,
    segments: Segments = DEFAULT_SEGMENTS,
    climate: Climate | None = None,
) -> dict[str, Any]:
    """The card as data; :func:`models.default_risk.card_page.render` makes the page of it."""
    targets: dict[str, Any] = {}
    for name, part in parts.items():
        dates = part.dates
        entry: dict[str, Any] = notes[name] | {
            "threshold_days": part.threshold,
            "horizon_days": part.horizon_days,
            "row_count": len(part.rows),
            "loan_count": int(part.loans.nunique()),
            "event_rows": int(part.outcome.sum()),
            "event_loan_count": part.event_loan_count,
            "first_date": dates.min().date() if len(dates) else None,
            "last_date": dates.max().date() if len(dates) else None,
            "date_count": int(dates.nunique()),
        }
        target = model.targets[name]
        if isinstance(target, BoostedTarget) and binned is not None:
            entry["climate"] = _climate(target, climate, model.trained_as_of, part.horizon_days)
            entry["evaluation"] = compare(
                part, table, binned, booster, model.settings, fit=fit, seed=seed, people=people, segments=segments
            )
            entry["backtest"] = backtest(part, binned, booster, model.settings, fit=fit, seed=seed)
            entry["features"] = _shapes(target, part, binned, model.settings.n_jobs)
            entry["reference"] = _reference(target, part, table, binned)
        targets[name] = entry
    return {
        "model": model.name,
        "kind": model.kind,
        "trained_as_of": model.trained_as_of,
        "schema_hash": LOAN_FEATURES.schema_hash(),
        "feature_count": len(LOAN_FEATURES.features),
        "protected_attributes_used": [],
        "protected_attributes_reported": [
            name
            for name in PROTECTED_COLUMNS
            if people is not None and name in people.columns and people[name].notna().any()
        ],
        "past_threshold": "Loans at or past the threshold get probability 1; nothing is learnt from them.",
        "metrics": {name: headline(entry) for name, entry in targets.items()},
        "climate": [] if climate is None else climate.to_rows()[["week_end_date", "climate_level"]].to_dict("records"),
        "targets": targets,
    }


def _climate(target: BoostedTarget, climate: Climate | None, day: date, horizon_days: int) -> dict[str, float] | None:
    """What the climate expected on the day of training makes of the target's odds; None without one."""
    effect = target.climate
    expected, variance = expected_climate(climate, pd.Series([pd.Timestamp(day)]), horizon_days)[0]
    if not effect.slope or np.isnan(expected):
        return None
    return {
        "slope": effect.slope,
        "usual": effect.usual,
        "expected": float(expected),
        "spread": float(np.sqrt(max(variance, 0.0))),
        "odds_factor": climate_measures(effect, climate, day, horizon_days)[0][2],
    }


def headline(entry: dict[str, Any]) -> dict[str, float]:
    """The few numbers of a target for a log line: AUC, Brier and ECE on rows not learnt from; empty when not judged."""
    measured = entry.get("evaluation", {}).get("metrics", {}).get("puntual", {})
    return {name: round(measured[name]["value"], 4) for name in ("auc", "brier", "ece") if name in measured}


def _reference(target: BoostedTarget, part: TargetRows, table: pd.DataFrame, binned: BinnedMatrix) -> dict[str, Any]:
    """What the learnt rows looked like: groups of every number and of the score, for the stability of later dates.

    Levels of categories are those of all rows: a level is new only when no row carried it.
    """
    random = np.random.default_rng(0)
    places = np.sort(random.choice(len(part.rows), min(REFERENCE_ROWS, len(part.rows)), replace=False))
    some = part.take(places)
    rows = binned.matrix[some.rows]
    found = reference_of(LOAN_FEATURES, rows, table.iloc[part.rows])
    score = target.probability(rows, some.past_due_days, some.day_of_year, some.climate_expected)
    return found | {"score": reference_bins(score) | {"mean": float(score.mean())}}


def _shapes(target: BoostedTarget, part: TargetRows, binned: BinnedMatrix, n_jobs: int) -> list[dict[str, Any]]:
    """Features by mean size of their part in the score, with the shape of the strongest: mean part by value."""
    random = np.random.default_rng(0)
    some = np.sort(random.choice(part.rows, min(SHAPE_ROWS, len(part.rows)), replace=False))
    values = contributions(target.booster, binned.matrix[some], n_jobs=n_jobs)
    size = np.abs(values).mean(axis=0)
    order = np.argsort(-size, kind="stable")
    found: list[dict[str, Any]] = []
    for rank, place in enumerate(order):
        feature = LOAN_FEATURES.features[place]
        entry: dict[str, Any] = {
            "name": feature.name,
            "mean_size": round(float(size[place]), 4),
            "monotone": feature.monotone,
        }
        if rank < 6 and feature.type != "category":
            entry["shape"] = _shape(binned.matrix[some, place], values[:, place])
        found.append(entry)
    return found


def _shape(column: np.ndarray, part: np.ndarray, *, points: int = 12) -> list[list[float]]:
    known = ~np.isnan(column)
    if known.sum() < points:
        return []
    lowest = column[known].min()
    above = column[known & (column > lowest)]
    # Most loans owe nothing: the lowest value is a point of its own, and the others share the rest of the line.
    edges = (
        np.unique(np.r_[lowest, np.quantile(above, np.linspace(0, 1, points))]) if len(above) else np.array([lowest])
    )
    index = np.clip(np.searchsorted(edges, column[known], side="right") - 1, 0, max(len(edges) - 2, 0))
    count = np.bincount(index)
    x = np.bincount(index, weights=column[known]) / np.maximum(count, 1)
    y = np.bincount(index, weights=part[known]) / np.maximum(count, 1)
    return [[round(float(a), 4), round(float(b), 4)] for a, b, n in zip(x, y, count, strict=True) if n]
