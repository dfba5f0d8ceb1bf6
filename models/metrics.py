"""How good a probability is: ranking, sharpness, calibration, and how sure we are of each.

Intervals come from resampling members, not rows: the rows of one person say the same thing many times.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import expit

from models.log_odds import line_of_least_log_loss, log_odds

DRAWS = 200
_PRIOR_ROWS = 1e-3


def auc(outcome: np.ndarray, score: np.ndarray, weight: np.ndarray | None = None) -> float:
    """Share of (event, non-event) pairs that the score puts in the right order, ties counted half; NaN without both.

    >>> auc(np.array([0, 0, 1, 1]), np.array([.1, .4, .4, .8]))
    0.875
    """
    return auc_of_ranks(np.asarray(outcome, dtype=float), ranks(score), weight)


def brier(outcome: np.ndarray, probability: np.ndarray, weight: np.ndarray | None = None) -> float:
    """Mean squared distance between probability and outcome.

    >>> brier(np.array([1, 0]), np.array([.8, .4])).__round__(6)
    0.1
    """
    return float(np.average((probability - outcome) ** 2, weights=weight))


def log_loss(outcome: np.ndarray, probability: np.ndarray, weight: np.ndarray | None = None) -> float:
    """Mean negative log likelihood, with probabilities kept off 0 and 1 by 1e-6."""
    p = np.clip(probability, 1e-6, 1 - 1e-6)
    return float(-np.average(outcome * np.log(p) + (1 - outcome) * np.log(1 - p), weights=weight))


def ece(outcome: np.ndarray, probability: np.ndarray, weight: np.ndarray | None = None, *, bins: int = 10) -> float:
    """Expected calibration error: mean of |rate - mean probability| over ``bins`` groups of equal size.

    >>> ece(np.array([0, 1, 1, 1]), np.array([.2, .2, .9, .9]), bins=2).__round__(6)
    0.2
    """
    return _ece_from_bins(outcome, probability, _equal_bins(probability, bins), weight)


def calibration_table(outcome: np.ndarray, probability: np.ndarray, *, bins: int = 10) -> pd.DataFrame:
    """One row per group of equal size by probability: row_count, event_count, mean_probability, event_rate."""
    index = _equal_bins(probability, bins)
    frame = pd.DataFrame({"bin": index, "p": probability, "y": np.asarray(outcome, dtype=float)})
    table = frame.groupby("bin").agg(row_count=("y", "size"), event_count=("y", "sum"), mean_probability=("p", "mean"))
    table["event_rate"] = table["event_count"] / table["row_count"]
    return table.reset_index(drop=True)


def metrics_with_interval(
    outcome: np.ndarray, probability: np.ndarray, members: np.ndarray, *, draws: int = DRAWS, seed: int = 0
) -> dict[str, dict[str, float]]:
    """AUC, Brier, ECE and log loss, each as value, low and high (95 %, members resampled ``draws`` times)."""
    metrics, _ = compared_with_interval(outcome, {"it": probability}, members, draws=draws, seed=seed)
    return metrics["it"]


def compared_with_interval(
    outcome: np.ndarray,
    scores: Mapping[str, np.ndarray],
    members: np.ndarray,
    *,
    draws: int = DRAWS,
    seed: int = 0,
) -> tuple[dict[str, dict[str, dict[str, float]]], dict[str, dict[str, dict[str, float]]]]:
    """The measures of several models on the same rows, and how far the first is from each other one.

    Returns ``{model: {measure: {value, low, high}}}`` and, for every model but the first, the paired difference (the
    first less the other) of each measure, also with its interval: both are measured on the same draws of members, so
    what is hard for both does not blur it. The calibration error alone has :func:`ece_interval`.
    """
    y = np.asarray(outcome, dtype=float)
    measured = {name: _measures(y, np.asarray(score, dtype=float)) for name, score in scores.items()}
    values = {name: {code: one(None) for code, one in codes.items()} for name, codes in measured.items()}
    drawn: dict[str, dict[str, list[float]]] = {name: {code: [] for code in codes} for name, codes in measured.items()}
    for weight in member_weights(members, draws=draws, seed=seed):
        for name, codes in measured.items():
            for code, one in codes.items():
                drawn[name][code].append(one(weight))
    first = next(iter(scores))
    metrics = {
        name: {code: interval_of(values[name][code], drawn[name][code]) for code in codes}
        | {"ece": ece_interval(y, np.asarray(scores[name], dtype=float), members, draws=draws, seed=seed)}
        for name, codes in measured.items()
    }
    differences = {
        name: {
            code: interval_of(
                values[first][code] - values[name][code],
                [a - b for a, b in zip(drawn[first][code], drawn[name][code], strict=True)],
            )
            for code in codes
        }
        for name, codes in measured.items()
        if name != first
    }
    return metrics, differences


def ece_interval(
    outcome: np.ndarray,
    probability: np.ndarray,
    members: np.ndarray | None = None,
    *,
    bins: int = 10,
    draws: int = DRAWS,
    seed: int = 0,
) -> dict[str, float]:
    """:func:`ece` with a 95 % interval that a right probability leaves at 0.

    Chance alone parts every group's rate from its probability, so the error is never 0 and resampling adds to it.
    By the triangle inequality the measured error and the true one are no farther apart than the error that chance makes
    of right probabilities: of coin tosses with these, drawn ``draws`` times. Its 97.5 % point, widened by the root of
    the design effect where rows of one member move together, is taken off and put on.
    """
    y, p = np.asarray(outcome, dtype=float), np.asarray(probability, dtype=float)
    index, random = _equal_bins(p, bins), np.random.default_rng(seed)
    value = _ece_from_bins(y, p, index, None) if len(p) else float("nan")
    tossed = [_ece_from_bins(random.random(len(p)) < p, p, index, None) for _ in range(draws if len(p) else 0)]
    if not tossed:
        return {"value": value, "low": float("nan"), "high": float("nan")}
    chance = float(np.quantile(tossed, 0.975))
    if members is not None:
        sums = np.bincount(pd.factorize(np.asarray(members))[0], weights=y - p)
        chance *= float(np.sqrt(max(1.0, (sums**2).sum() / max(((y - p) ** 2).sum(), 1e-12))))
    return {"value": value, "low": max(0.0, value - chance), "high": value + chance}


def slope_interval(outcome: np.ndarray, probability: np.ndarray, members: np.ndarray | None = None) -> dict[str, float]:
    """The slope of :func:`calibration_line` with its 95 % interval.

    From the curvature of the likelihood, widened to that of the members' sums of scores (a sandwich) where that is
    wider. NaN where that is.
    """
    y = np.asarray(outcome, dtype=float)
    intercept, slope = calibration_line(y, probability)
    if np.isnan(slope):
        return {"value": slope, "low": slope, "high": slope}
    x = np.column_stack([np.ones(len(y)), log_odds(probability)])
    fitted = expit(x @ np.array([intercept, slope]))
    inverse = np.linalg.inv((x * (fitted * (1 - fitted))[:, None]).T @ x + _PRIOR_ROWS * np.eye(2))
    codes = np.arange(len(y)) if members is None else pd.factorize(np.asarray(members))[0]
    sums = np.column_stack([np.bincount(codes, weights=x[:, k] * (y - fitted)) for k in range(2)])
    variance = max(inverse[1, 1], (inverse @ (sums.T @ sums) @ inverse)[1, 1])
    width = 1.96 * float(np.sqrt(variance))
    return {"value": slope, "low": slope - width, "high": slope + width}


def member_weights(members: np.ndarray, *, draws: int, seed: int) -> Iterator[np.ndarray]:
    """Weights of the rows, draw by draw: every member counts a Poisson(1) number of times, with all of its rows."""
    codes, names = pd.factorize(np.asarray(members))
    random = np.random.default_rng(seed)
    for _ in range(draws):
        weight = random.poisson(1.0, len(names)).astype(float)[codes]
        if weight.sum() > 0:
            yield weight


def interval_of(value: float, drawn: Sequence[float]) -> dict[str, float]:
    """A value with the middle 95 % of its draws; NaN draws (a group without an event) are left out."""
    known = np.array([d for d in drawn if not np.isnan(d)])
    low, high = np.quantile(known, [0.025, 0.975]) if len(known) else (np.nan, np.nan)
    return {"value": float(value), "low": float(low), "high": float(high)}


def _measures(y: np.ndarray, p: np.ndarray) -> dict[str, Callable[[np.ndarray | None], float]]:
    places, index = ranks(p), _equal_bins(p, 10)
    clipped = np.clip(p, 1e-6, 1 - 1e-6)
    losses = -(y * np.log(clipped) + (1 - y) * np.log(1 - clipped))
    squares = (p - y) ** 2
    return {
        "auc": lambda w: auc_of_ranks(y, places, w),
        "brier": lambda w: float(np.average(squares, weights=w)),
        "ece": lambda w: _ece_from_bins(y, p, index, w),
        "log_loss": lambda w: float(np.average(losses, weights=w)),
    }


def average_precision(outcome: np.ndarray, score: np.ndarray) -> float:
    """Area under precision over recall: the mean precision at each event, best scores first; NaN without an event.

    Equal scores are one step.

    >>> average_precision(np.array([1, 0, 1]), np.array([.9, .8, .7])).__round__(4)
    0.8333
    """
    y, places = np.asarray(outcome, dtype=float), ranks(score)
    events = np.bincount(places, weights=y)[::-1]
    rows = np.bincount(places).astype(float)[::-1]
    if events.sum() == 0:
        return float("nan")
    precision = np.cumsum(events) / np.cumsum(rows)
    return float((precision * events).sum() / events.sum())


def kolmogorov_smirnov(outcome: np.ndarray, score: np.ndarray) -> float:
    """Greatest distance between the distributions of the score of events and of the others; NaN without both.

    >>> kolmogorov_smirnov(np.array([0, 0, 1, 1]), np.array([.1, .4, .4, .8]))
    0.5
    """
    y, places = np.asarray(outcome, dtype=float), ranks(score)
    events, others = np.bincount(places, weights=y), np.bincount(places, weights=1 - y)
    if events.sum() == 0 or others.sum() == 0:
        return float("nan")
    return float(np.abs(np.cumsum(events) / events.sum() - np.cumsum(others) / others.sum()).max())


def calibration_line(outcome: np.ndarray, probability: np.ndarray) -> tuple[float, float]:
    """Intercept and slope of the outcome's log odds on those of the probability; (0, 1) is calibrated.

    With a prior worth a thousandth of a row, so that a perfect order has an end. NaN, which every reader shows as not
    known, without both outcomes, with one probability alone, or where no best line is found.

    Of what is said to be 0.9 three quarters happen, of 0.1 a quarter: log(3) / log(9).

    >>> round(calibration_line(np.array([1, 0] * 3 + [0, 1]), np.array([.9, .1] * 4))[1], 3)
    0.5
    """
    y, x = np.asarray(outcome, dtype=float), log_odds(probability)
    if len(y) == 0 or y.min() == y.max() or np.ptp(x) < 1e-9:
        return float("nan"), float("nan")
    found = line_of_least_log_loss(x, y, pull=_PRIOR_ROWS)
    return (float("nan"), float("nan")) if found is None else (found[1], found[0])


QUALITY = ("auc", "pr_auc", "ks", "brier", "log_loss", "slope", "intercept", "ece")


def quality(outcome: np.ndarray, probability: np.ndarray) -> dict[str, float]:
    """Every measure of :data:`QUALITY` of probabilities that are known to be right or wrong; ECE over 15 groups."""
    intercept, slope = calibration_line(outcome, probability)
    return {
        "auc": auc(outcome, probability),
        "pr_auc": average_precision(outcome, probability),
        "ks": kolmogorov_smirnov(outcome, probability),
        "brier": brier(outcome, probability),
        "log_loss": log_loss(outcome, probability),
        "slope": slope,
        "intercept": intercept,
        "ece": ece(outcome, probability, bins=15),
    }


def reference_bins(sample: np.ndarray, *, bins: int = 10) -> dict[str, list[float]]:
    """The groups of a sample for a later :func:`stability_index`: edges between its deciles, and the count of each.

    The first count is of missing values.
    """
    known = sample[~np.isnan(sample)]
    edges = np.unique(np.quantile(known, np.linspace(0, 1, bins + 1)[1:-1])) if len(known) else np.zeros(0)
    return {"edges": edges.tolist(), "counts": _counts(sample, edges).tolist()}


def stability_index(
    reference: Mapping[str, Sequence[float]], actual: np.ndarray, weight: np.ndarray | None = None
) -> float:
    """Population stability index of a sample against :func:`reference_bins` of another; 0 when shares are equal.

    Below 0.1 is usually read as stable and above 0.25 as moved.

    >>> stability_index(reference_bins(np.arange(10.0)), np.arange(10.0))
    0.0
    """
    edges = np.asarray(reference["edges"], dtype=float)
    after = _counts(np.asarray(actual, dtype=float), edges, weight)
    return _index_of(np.asarray(reference["counts"], dtype=float), after)


def reference_levels(texts: pd.Series, *, least_rows: int = 50, most: int = 500) -> dict[str, list[Any]]:
    """The levels of a text column for a later :func:`level_stability` and :func:`new_level_share`.

    ``levels`` are the texts that at least ``least_rows`` rows carry, sorted, ``rare`` the others that were seen, at
    most ``most`` of them; ``counts`` are the rows without a text, those of rarer texts, then those of each level.
    """
    found = texts.dropna().astype(str).value_counts()
    levels = sorted(found.index[found >= least_rows])
    rare = found.drop(levels)
    counts = [float(texts.isna().sum()), float(rare.sum()), *(float(found[level]) for level in levels)]
    return {"levels": levels, "rare": sorted(rare.index[:most]), "counts": counts}


def level_stability(
    reference: Mapping[str, Sequence[Any]], actual: pd.Series, weight: np.ndarray | None = None
) -> float:
    """Population stability index over the levels of :func:`reference_levels`, all other texts, and missing ones.

    >>> learnt = pd.Series(["a"] * 60 + ["b"] * 60 + [None])
    >>> level_stability(reference_levels(learnt), learnt)
    0.0
    >>> level_stability(reference_levels(learnt), pd.Series(["a"] * 60 + ["new"] * 60)) > 0.25
    True
    """
    levels = list(reference["levels"])
    code = pd.Index(levels, dtype=object).get_indexer(actual.astype(object).where(actual.isna(), actual.astype(str)))
    place = np.where(actual.isna().to_numpy(), 0, code + 2)
    before = np.asarray(reference["counts"], dtype=float)
    after = np.bincount(place, weights=weight, minlength=len(levels) + 2).astype(float)
    return _index_of(before, after)


def new_level_share(reference: Mapping[str, Sequence[Any]], actual: pd.Series) -> float:
    """Share of rows whose text was on no row of the reference, rare texts that were seen aside; missing is none.

    Where the reference saw more rare texts than it names, the rarest cannot be told from new ones.
    """
    known = {*reference["levels"], *reference["rare"]}
    texts = actual.dropna().astype(str)
    return float((~texts.isin(known)).sum() / max(len(actual), 1))


def _index_of(before: np.ndarray, after: np.ndarray) -> float:
    """Stability index of two counts over the same groups, each raised by half a row."""
    before, after = before + 0.5, after + 0.5
    before, after = before / before.sum(), after / after.sum()
    return float(((after - before) * np.log(after / before)).sum())


def _counts(sample: np.ndarray, edges: np.ndarray, weight: np.ndarray | None = None) -> np.ndarray:
    index = np.where(np.isnan(sample), 0, np.searchsorted(edges, sample, side="left") + 1)
    return np.bincount(index, weights=weight, minlength=len(edges) + 2).astype(float)


def ranks(score: np.ndarray) -> np.ndarray:
    """The place of every score among the different ones, from 0; equal scores share it."""
    return np.unique(np.asarray(score, dtype=float), return_inverse=True)[1].ravel()


def auc_of_ranks(outcome: np.ndarray, places: np.ndarray, weight: np.ndarray | None) -> float:
    """:func:`auc` of scores that were ranked once, for many draws of weights."""
    w = np.ones(len(outcome)) if weight is None else weight
    events = np.bincount(places, weights=w * outcome)
    others = np.bincount(places, weights=w * (1 - outcome))
    pairs = events.sum() * others.sum()
    if pairs == 0:
        return float("nan")
    below = np.cumsum(others) - others
    return float((events * (below + 0.5 * others)).sum() / pairs)


def _equal_bins(probability: np.ndarray, bins: int) -> np.ndarray:
    rank = np.empty(len(probability), dtype=np.int64)
    rank[np.argsort(probability, kind="stable")] = np.arange(len(probability))
    return rank * bins // max(len(probability), 1)


def _ece_from_bins(outcome: np.ndarray, probability: np.ndarray, index: np.ndarray, weight: np.ndarray | None) -> float:
    w = np.ones(len(index)) if weight is None else weight
    gap = np.bincount(index, weights=w * (np.asarray(outcome, dtype=float) - probability))
    return float(np.abs(gap).sum() / w.sum())
