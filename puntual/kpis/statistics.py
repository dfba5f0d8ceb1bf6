"""Estimates with intervals that the analytic KPIs share. Arrays in, numbers out; nothing is drawn at random."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
Z95 = 1.959963984540054
_LEAST_SPREAD = 1e-12


@dataclass(frozen=True)
class Shrunk:
    """Effects drawn to their common mean.

    Attributes:
        value, low, high: per effect, the shrunk one and its 95 % interval.
        trust: weight of the effect's own figure, 0 to 1.
        prior: the common mean.
        spread: variance of the true effects between units; 0 when the scatter is no more than noise.
    """

    value: Floats
    low: Floats
    high: Floats
    trust: Floats
    prior: float
    spread: float


def shrink(effects: npt.ArrayLike, variances: npt.ArrayLike) -> Shrunk:
    """Empirical Bayes: each effect is drawn to the common mean, the more the less its own data say.

    1. The spread of the true effects is what scatter is left beyond noise (DerSimonian and Laird).
    2. The common mean weighs each effect by one over its variance and that spread.
    3. The shrunk effect lies between its own figure and the common mean; without spread it is the common mean.

    >>> found = shrink([0.4, -0.4], [0.01, 0.01])
    >>> found.value.round(4).tolist(), round(found.prior, 3)
    ([0.3875, -0.3875], 0.0)
    """
    x, v = np.asarray(effects, dtype=float), np.maximum(np.asarray(variances, dtype=float), _LEAST_SPREAD)
    if len(x) == 0:
        return Shrunk(x, x, x, x, float("nan"), 0.0)
    weight = 1.0 / v
    mean = float((weight * x).sum() / weight.sum())
    scatter = float((weight * (x - mean) ** 2).sum())
    room = float(weight.sum() - (weight**2).sum() / weight.sum())
    spread = max(0.0, (scatter - (len(x) - 1)) / room) if room > _LEAST_SPREAD else 0.0
    total = 1.0 / (v + spread)
    prior = float((total * x).sum() / total.sum())
    trust = spread / (spread + v)
    value = trust * x + (1.0 - trust) * prior
    error = np.sqrt(trust * v + (1.0 - trust) ** 2 / total.sum())
    return Shrunk(value, value - Z95 * error, value + Z95 * error, trust, prior, spread)


def payment_variance(probability: Floats, amount: Floats) -> Floats:
    """Variance of what a member pays: ``amount`` with ``probability``, else nothing."""
    return probability * (1.0 - probability) * amount**2


def residual_scale(paid: Floats, expected: Floats, variance: Floats) -> float:
    """How many times wider past payments scattered around their expectation than payers and non-payers alone explain.

    Never below 1; 1 without any past payment to learn from.
    """
    known = variance > 0
    if not known.any():
        return 1.0
    return float(max(1.0, np.sqrt(((paid - expected)[known] ** 2).sum() / variance[known].sum())))


def sum_interval(expected: Floats, variance: Floats, scale: float) -> tuple[float, float, float]:
    """Sum of independent payments with its 95 % interval; the lower end is not below 0.

    >>> sum_interval(np.array([50.0, 50.0]), np.array([100.0, 44.0]), 1.0)[0]
    100.0
    """
    total, error = float(expected.sum()), scale * float(np.sqrt(variance.sum()))
    return total, max(0.0, total - Z95 * error), total + Z95 * error


def mean_difference(
    outcome: Floats, treated: Flags, probability: Floats, covariate: Floats | None = None
) -> tuple[float, float, float]:
    """Mean outcome of the treated less that of the held-out, by intention to treat, with its 95 % interval.

    1. Each row weighs one over the probability of the arm that it was drawn into.
    2. ``covariate`` (known before the draw) takes away the part of the outcome that it explains (CUPED): the estimate
       stays unbiased, because both arms were drawn alike, and its interval narrows.

    >>> mean_difference(np.array([3.0, 1.0, 1.0, 1.0]), np.array([True, True, False, False]), np.full(4, 0.5))[0]
    1.0
    """
    y = np.asarray(outcome, dtype=float)
    if covariate is not None and float(np.var(covariate)) > _LEAST_SPREAD:
        x = np.asarray(covariate, dtype=float)
        slope = float(np.cov(x, y, bias=True)[0, 1] / np.var(x))
        y = y - slope * (x - x.mean())
    parts = []
    for arm, chance in ((treated, probability), (~treated, 1.0 - probability)):
        weight = 1.0 / chance[arm]
        share = weight / weight.sum()
        mean = float((share * y[arm]).sum())
        parts.append((mean, float((share**2 * (y[arm] - mean) ** 2).sum())))
    difference = parts[0][0] - parts[1][0]
    error = float(np.sqrt(parts[0][1] + parts[1][1]))
    return difference, difference - Z95 * error, difference + Z95 * error


def kaplan_meier(days: npt.ArrayLike, is_event: npt.ArrayLike) -> list[tuple[int, float]]:
    """Share that is still without the event after each day on which one happened; censored rows leave without it.

    Without censoring it is the share whose days are more.

    >>> kaplan_meier([1, 2, 3, 4], [True, False, True, True])
    [(1, 0.75), (3, 0.375), (4, 0.0)]
    """
    lasted, events = np.asarray(days, dtype=np.int64), np.asarray(is_event, dtype=bool)
    share, curve = 1.0, []
    for day in np.unique(lasted[events]):
        at_risk = int((lasted >= day).sum())
        share *= 1.0 - int((events & (lasted == day)).sum()) / at_risk
        curve.append((int(day), share))
    return curve


def rank_biased_overlap(one: Sequence[str], other: Sequence[str], *, persistence: float = 0.98) -> float:
    """How alike two ranked lists are, the first places weighing most: 1 the same, 0 nothing in common.

    The mean share in common over all depths, each depth weighing ``persistence`` times the one before it. NaN when both
    are empty.

    >>> rank_biased_overlap(["a", "b"], ["a", "b"]), rank_biased_overlap(["a"], ["b"])
    (1.0, 0.0)
    """
    depth = max(len(one), len(other))
    if depth == 0:
        return float("nan")
    seen_one: set[str] = set()
    seen_other: set[str] = set()
    common, total, weights, weight = 0, 0.0, 0.0, 1.0
    for place in range(depth):
        first = one[place] if place < len(one) else None
        second = other[place] if place < len(other) else None
        if first is not None:
            common += first in seen_other
            seen_one.add(first)
        if second is not None:
            common += second in seen_one
            seen_other.add(second)
        total += weight * common / (place + 1)
        weights += weight
        weight *= persistence
    return total / weights


def qini(gain: Floats, outcome: Floats, treated: Flags, probability: Floats) -> float:
    """Area between the curve of extra outcome won by contacting the best first and the line of contacting anyone.

    Per member, in units of the outcome; 0 when the order by ``gain`` is no better than chance. The arms are weighed by
    one over the probability of their draw.
    """
    order = np.argsort(-gain, kind="stable")
    y, t, p = outcome[order], treated[order], probability[order]
    step = np.where(t, y / p, -y / (1.0 - p))
    size = len(step)
    curve = np.concatenate([[0.0], np.cumsum(step)]) / size
    line = curve[-1] * np.linspace(0.0, 1.0, size + 1)
    lift = curve - line
    return float(((lift[1:] + lift[:-1]) / 2).mean())
