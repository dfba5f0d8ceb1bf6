"""How good default risk is on rows that it did not learn from, beside a scorecard and past-due days alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from models.datasets import TimeSplit, member_split, time_split
from models.default_risk.settings import DefaultRiskSettings
from models.estimators import BinnedMatrix, BoosterSettings
from models.features import LOAN_FEATURES
from models.metrics import calibration_table, metrics_with_interval, population_stability, quality
from models.scorecard import Scorecard, past_due_curve
from puntual.errors import ModelError

if TYPE_CHECKING:
    from models.default_risk.train import TargetRows

LEAST_TEST_EVENTS = 20
SCORECARD_ROWS = 30_000
JUDGED_ROWS = 50_000


def split_for(part: TargetRows, settings: DefaultRiskSettings) -> TimeSplit | None:
    """By time with a gap as long as the horizon, else by members (short history), else None (too few events)."""
    split = time_split(part.dates, gap_days=part.horizon_days, test_date_count=settings.test_date_count)
    if split is not None and _enough(part, split):
        return split
    split = member_split(part.dates, part.members, test_date_count=settings.test_date_count)
    return split if _enough(part, split) else None


def compare(
    part: TargetRows,
    table: pd.DataFrame,
    binned: BinnedMatrix,
    booster: BoosterSettings,
    settings: DefaultRiskSettings,
    *,
    fit: Callable[..., tuple[Any, dict[str, Any]]],
    seed: int,
) -> dict[str, Any]:
    """Metrics of the same training procedure stopped before the test dates, and of the baselines, on the same rows.

    Returns ``{"split": ..., "metrics": {model: {metric: {value, low, high}}}, "calibration": [...], "segments": [...],
    "stability": {...}}``, or ``{"split": None, "reason": ...}`` when there are too few events to judge anything.
    """
    split = split_for(part, settings)
    if split is None:
        return {"split": None, "reason": f"fewer than {LEAST_TEST_EVENTS} events to learn from or to judge by"}
    learn, test = part.take(split.train), part.take(split.test)
    model, note = fit(learn, binned, booster, settings, seed=seed)
    random = np.random.default_rng(seed)
    if len(test.rows) > JUDGED_ROWS:
        test = test.take(np.sort(random.choice(len(test.rows), JUDGED_ROWS, replace=False)))
    rows = binned.matrix[test.rows]
    scores = {"puntual": model.probability(rows, test.past_due_days, test.day_of_year)}
    some = np.sort(random.choice(len(learn.rows), min(SCORECARD_ROWS, len(learn.rows)), replace=False))
    try:
        card = Scorecard().fit(binned.matrix[learn.rows[some]], learn.outcome[some])
        scores["scorecard"] = card.predict(rows)
    except (ModelError, ValueError) as error:
        note = note | {"scorecard_missing": str(error)}
    scores["past_due_days"] = past_due_curve(learn.past_due_days, learn.outcome).apply(test.past_due_days)
    members = test.members.to_numpy()
    metrics = {
        name: metrics_with_interval(test.outcome, score, members, draws=settings.bootstrap_draws, seed=seed)
        for name, score in scores.items()
    }
    return {
        "split": split.kind,
        "split_es": split.description_es,
        "split_en": split.description_en,
        "train_dates": split.train_dates,
        "test_dates": split.test_dates,
        "train_rows": len(learn.rows),
        "test_rows": len(test.rows),
        "test_events": int(test.outcome.sum()),
        "note": note,
        "metrics": metrics,
        "quality": quality(test.outcome, scores["puntual"]),
        "calibration": calibration_table(test.outcome, scores["puntual"]).to_dict("records"),
        "segments": _segments(test, table, scores["puntual"]),
        "stability": _stability(learn, test, binned),
    }


def _enough(part: TargetRows, split: TimeSplit) -> bool:
    counts = [part.outcome[places].sum() for places in (split.train, split.test)]
    return min(counts) >= LEAST_TEST_EVENTS and bool((part.outcome[split.test] == 0).any())


def _segments(
    test: TargetRows, table: pd.DataFrame, probability: np.ndarray, *, most: int = 12
) -> list[dict[str, Any]]:
    """Expected and seen events by branch, product and stage: a model may be right on the whole and wrong in a part."""
    frame = table.iloc[test.rows][["branch_id", "product_code"]].reset_index(drop=True)
    stage = np.select([test.past_due_days <= 0, test.past_due_days <= 30], ["0", "1-30"], "31+")
    frame["past_due_days"] = stage
    found: list[dict[str, Any]] = []
    for name in ("past_due_days", "product_code", "branch_id"):
        data = pd.DataFrame({"key": frame[name].astype("object"), "p": probability, "y": test.outcome})
        grouped = data.groupby("key", sort=True).agg(
            row_count=("y", "size"), event_count=("y", "sum"), expected_count=("p", "sum")
        )
        largest = grouped.sort_values("row_count", ascending=False, kind="stable").head(most).sort_index()
        found += [{"segment": name, "value": key} | values for key, values in largest.to_dict("index").items()]
    return found


def _stability(learn: TargetRows, test: TargetRows, binned: BinnedMatrix) -> dict[str, float]:
    """Population stability index of every number, learnt rows against judged rows."""
    before, after = binned.matrix[learn.rows[:200_000]], binned.matrix[test.rows]
    skipped = set(LOAN_FEATURES.category_names) | {"day_of_month"}
    return {
        name: round(population_stability(before[:, place], after[:, place]), 4)
        for place, name in enumerate(LOAN_FEATURES.feature_names)
        if name not in skipped
    }
