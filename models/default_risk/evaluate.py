"""How good default risk is on rows that it did not learn from, beside the plain models that it must beat."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from models.datasets import TimeSplit, member_split, time_split
from models.default_risk.settings import DefaultRiskSettings
from models.estimators import BinnedMatrix, BoosterSettings
from models.features import LOAN_FEATURES
from models.groups import age_groups, calibration_by_group, disparity
from models.metrics import (
    average_precision,
    calibration_table,
    compared_with_interval,
    interval_of,
    level_stability,
    member_weights,
    quality,
    reference_bins,
    reference_levels,
    stability_index,
)
from models.scorecard import Scorecard, default_lightgbm, past_due_curve
from puntual.errors import ModelError

if TYPE_CHECKING:
    from models.default_risk.train import TargetRows

Segments = Sequence[tuple[str, int]]
"""The institution's segments of past-due days: code and first day."""

LEAST_TEST_EVENTS = 20
BASELINE_ROWS = 30_000
JUDGED_ROWS = 50_000
STABILITY_ROWS, STABILITY_DRAWS = 20_000, 40
STABLE_BELOW, MOVED_FROM = 0.1, 0.25
"""How a population stability index is usually read; what raises an alarm is data, in data/models."""
PROTECTED_COLUMNS = ("gender", "birth_date", "marital_state")
"""What the disparity report may be given about a member; none of it is ever a feature."""
DEFAULT_SEGMENTS: Segments = (("preventive", 0), ("early", 1), ("middle", 31), ("late", 91), ("chronic", 181))
"""The ladder of past-due days that the product ships: code and first day of each, in rising order."""
LESS_IS_BETTER = {"auc": False, "brier": True, "ece": True, "log_loss": True}

Fit = Callable[..., tuple[Any, dict[str, Any]]]


@dataclass(frozen=True)
class Judged:
    """Rows that the model did not learn from, with the probabilities of every model that is compared."""

    test: TargetRows
    scores: dict[str, np.ndarray]

    @property
    def members(self) -> np.ndarray:
        """The member of every row."""
        return self.test.members.to_numpy()


def split_for(part: TargetRows, settings: DefaultRiskSettings) -> TimeSplit | None:
    """By time with a gap as long as the horizon, else by members (short history), else None (too few events)."""
    split = time_split(part.dates, gap_days=part.horizon_days, test_date_count=settings.test_date_count)
    if split is not None and enough(part, split):
        return split
    split = member_split(part.dates, part.members, test_date_count=settings.test_date_count)
    return split if enough(part, split) else None


def compare(
    part: TargetRows,
    table: pd.DataFrame,
    binned: BinnedMatrix,
    booster: BoosterSettings,
    settings: DefaultRiskSettings,
    *,
    fit: Fit,
    seed: int,
    people: pd.DataFrame | None = None,
    segments: Segments = DEFAULT_SEGMENTS,
) -> dict[str, Any]:
    """Metrics of the same training procedure stopped before the test dates, and of the baselines, on the same rows.

    ``people`` (customer_id and protected attributes) is read for the disparity report alone; ``segments`` are the
    stages of past-due days whose calibration is shown.

    Returns ``metrics`` ({model: {measure: {value, low, high}}}), ``differences`` (Puntual less each other model on the
    same draws of members), ``ahead`` ({model: {measure: ahead, level or behind}}), ``calibration``, ``lift``,
    ``segments``, ``stability`` and ``disparity``; or ``{"split": None, "reason": ...}`` when there are too few events
    to judge anything.
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
    scores = {"puntual": model.probability(rows, test.past_due_days, test.day_of_year, test.climate_expected)}
    plain, why = _baselines(learn, rows, test, binned, settings, random=random, seed=seed)
    judged = Judged(test, scores | plain)
    draws, members = settings.bootstrap_draws, judged.members
    metrics, differences = compared_with_interval(test.outcome, judged.scores, members, draws=draws, seed=seed)
    own = judged.scores["puntual"]
    return {
        "split": split.kind,
        "split_es": split.description_es,
        "split_en": split.description_en,
        "train_dates": split.train_dates,
        "test_dates": split.test_dates,
        "train_rows": len(learn.rows),
        "test_rows": len(test.rows),
        "test_events": int(test.outcome.sum()),
        "note": note | why,
        "metrics": metrics,
        "differences": differences,
        "ahead": {name: {code: standing(code, one) for code, one in by.items()} for name, by in differences.items()},
        "quality": quality(test.outcome, own),
        "calibration": calibration_points(test.outcome, own, members, draws=draws, seed=seed),
        "lift": {name: lift_curve(test.outcome, score) for name, score in judged.scores.items()},
        "pr_auc": {name: average_precision(test.outcome, score) for name, score in judged.scores.items()},
        "segments": _segments(judged, table, segments, draws=draws, seed=seed),
        "stability": _stability(learn, judged, table, binned, model, seed=seed),
        "disparity": disparity_report(judged, people, draws=draws, seed=seed),
    }


def enough(part: TargetRows, split: TimeSplit) -> bool:
    """Whether both sides of a split have events, and the judged one has quiet rows too."""
    counts = [part.outcome[places].sum() for places in (split.train, split.test)]
    return min(counts) >= LEAST_TEST_EVENTS and bool((part.outcome[split.test] == 0).any())


def standing(measure: str, difference: dict[str, float]) -> str:
    """``ahead`` or ``behind`` when the paired difference's whole interval says so, else ``level``.

    >>> standing("auc", {"value": 0.02, "low": 0.01, "high": 0.03})
    'ahead'
    >>> standing("brier", {"value": 0.001, "low": -0.001, "high": 0.003})
    'level'
    """
    low, high = difference["low"], difference["high"]
    if LESS_IS_BETTER[measure]:
        low, high = -high, -low
    return "ahead" if low > 0 else "behind" if high < 0 else "level"


def _baselines(
    learn: TargetRows,
    rows: np.ndarray,
    test: TargetRows,
    binned: BinnedMatrix,
    settings: DefaultRiskSettings,
    *,
    random: np.random.Generator,
    seed: int,
) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """Probabilities of the plain models on the judged rows, and why one of them is missing."""
    some = np.sort(random.choice(len(learn.rows), min(BASELINE_ROWS, len(learn.rows)), replace=False))
    matrix, outcome = binned.matrix[learn.rows[some]], learn.outcome[some]
    scores: dict[str, np.ndarray] = {}
    why: dict[str, str] = {}
    try:
        scores["scorecard"] = Scorecard().fit(matrix, outcome).predict(rows)
    except ModelError as error:
        why["scorecard_missing"] = str(error)
    scores["default_lightgbm"] = default_lightgbm(matrix, outcome, rows, n_jobs=settings.n_jobs, seed=seed)
    scores["past_due_days"] = past_due_curve(learn.past_due_days, learn.outcome).apply(test.past_due_days)
    return scores, why


def calibration_points(
    outcome: np.ndarray, probability: np.ndarray, members: np.ndarray, *, draws: int, seed: int
) -> list[dict[str, Any]]:
    """Ten groups of equal size by probability: mean probability, and the seen rate with its interval."""
    table = calibration_table(outcome, probability).to_dict("records")
    size = len(probability)
    place = np.empty(size, dtype=np.int64)
    place[np.argsort(probability, kind="stable")] = np.arange(size) * 10 // max(size, 1)
    drawn: list[np.ndarray] = []
    for weight in member_weights(members, draws=draws, seed=seed):
        total = np.bincount(place, weights=weight, minlength=10)
        events = np.bincount(place, weights=weight * outcome, minlength=10)
        drawn.append(np.divide(events, total, out=np.full(10, np.nan), where=total > 0))
    for number, row in enumerate(table):
        found = interval_of(row["event_rate"], [one[number] for one in drawn])
        row |= {"low": found["low"], "high": found["high"]}
    return table


def lift_curve(outcome: np.ndarray, score: np.ndarray, *, points: int = 20) -> list[list[float]]:
    """Share of all events among the highest scores: [share of rows, share of events], from nobody to everybody."""
    order = np.argsort(-score, kind="stable")
    found = np.concatenate([[0.0], np.cumsum(outcome[order])]) / max(outcome.sum(), 1)
    shares = np.linspace(0, 1, points + 1)
    return [[round(float(s), 3), round(float(found[round(s * len(score))]), 4)] for s in shares]


def by_date(judged: Judged, *, draws: int, seed: int) -> list[dict[str, Any]]:
    """AUC, Brier and ECE of every judged date, oldest first; a date with too few events is left out."""
    dates = judged.test.dates.to_numpy()
    found: list[dict[str, Any]] = []
    for day in np.unique(dates):
        here = dates == day
        events = judged.test.outcome[here].sum()
        if min(events, here.sum() - events) < LEAST_TEST_EVENTS:
            continue
        own = {"puntual": judged.scores["puntual"][here]}
        metrics, _ = compared_with_interval(
            judged.test.outcome[here], own, judged.members[here], draws=draws, seed=seed
        )
        row = {"as_of_date": pd.Timestamp(day).date(), "row_count": int(here.sum()), "event_count": int(events)}
        found.append(row | metrics["puntual"])
    return found


def past_due_stage(past_due_days: np.ndarray, segments: Segments) -> np.ndarray:
    """The code of the segment of every row; what lies before the first day of the ladder is in its first segment.

    >>> past_due_stage(np.array([0, 7, 8, 60]), [("a", 0), ("b", 1), ("c", 8)]).tolist()
    ['a', 'b', 'c', 'c']
    """
    ladder = sorted(segments, key=lambda one: one[1])
    codes = np.array([code for code, _ in ladder], dtype=object)
    place = np.searchsorted([first for _, first in ladder], past_due_days, side="right") - 1
    return codes[np.maximum(place, 0)]


def _segments(
    judged: Judged, table: pd.DataFrame, segments: Segments, *, draws: int, seed: int
) -> list[dict[str, Any]]:
    """Calibration by past-due stage, product and branch."""
    test = judged.test
    frame = table.iloc[test.rows]
    groups = {
        "past_due_days": past_due_stage(test.past_due_days, segments),
        "product_code": frame["product_code"].to_numpy(dtype=object),
        "branch_id": frame["branch_id"].to_numpy(dtype=object),
    }
    return [
        {"segment": name} | row
        for name, group in groups.items()
        for row in calibration_by_group(
            test.outcome, judged.scores["puntual"], group, judged.members, draws=draws, seed=seed
        )
    ]


def _stability(
    learn: TargetRows, judged: Judged, table: pd.DataFrame, binned: BinnedMatrix, model: Any, *, seed: int
) -> list[dict[str, Any]]:
    """Stability index of the score and of every feature, learnt rows against judged rows, most moved first.

    That of a category is over its levels, all other texts and missing ones.
    """
    random = np.random.default_rng(seed)
    before = learn.take(np.sort(random.choice(len(learn.rows), min(STABILITY_ROWS, len(learn.rows)), replace=False)))
    count = len(judged.test.rows)
    places = np.sort(random.choice(count, min(STABILITY_ROWS, count), replace=False))
    old, new = binned.matrix[before.rows], binned.matrix[judged.test.rows[places]]
    skipped = set(LOAN_FEATURES.category_names)
    columns = {
        name: (old[:, place].astype(float), new[:, place].astype(float))
        for place, name in enumerate(LOAN_FEATURES.feature_names)
        if name not in skipped
    }
    score = model.probability(old, before.past_due_days, before.day_of_year, before.climate_expected)
    columns = {"score": (score, judged.scores["puntual"][places])} | columns
    weights = list(member_weights(judged.members[places], draws=STABILITY_DRAWS, seed=seed))
    measures: dict[str, Callable[[np.ndarray | None], float]] = {}
    for name, (reference, now) in columns.items():
        measures[name] = partial(stability_index, reference_bins(reference), now)
    for name in LOAN_FEATURES.category_names:
        levels = reference_levels(table[name].iloc[before.rows])
        measures[name] = partial(level_stability, levels, table[name].iloc[judged.test.rows[places]])
    found = []
    for name, measure in measures.items():
        value = measure(None)
        spread = float(np.std([measure(weight) for weight in weights])) if weights else 0.0
        psi = {"value": value, "low": max(0.0, value - 1.96 * spread), "high": value + 1.96 * spread}
        found.append({"name": name, "psi": psi, "verdict": stability_verdict(value)})
    return sorted(found, key=lambda row: (-row["psi"]["value"], row["name"]))


def stability_verdict(value: float) -> str:
    """``stable``, ``watch`` or ``moved``."""
    return "stable" if value < STABLE_BELOW else "watch" if value < MOVED_FROM else "moved"


def disparity_report(
    judged: Judged, people: pd.DataFrame | None, *, draws: int, seed: int
) -> dict[str, list[dict[str, Any]]]:
    """How the groups of every protected attribute that is recorded fare; empty when nothing about people is given."""
    if people is None:
        return {}
    known = people.drop_duplicates("customer_id").set_index("customer_id").reindex(judged.members)
    groups: dict[str, np.ndarray] = {}
    for name in PROTECTED_COLUMNS:
        if name not in known.columns or people[name].isna().all():
            continue
        if name == "birth_date":
            groups["age_group"] = age_groups(
                known[name].reset_index(drop=True), judged.test.dates.reset_index(drop=True)
            )
        else:
            groups[name] = known[name].to_numpy(dtype=object)
    return {
        name: disparity(judged.test.outcome, judged.scores["puntual"], group, judged.members, draws=draws, seed=seed)
        for name, group in groups.items()
    }
