"""Conformalised quantile intervals, and the interval of a sum of members.

What is needed of conformal prediction are an order statistic and a shift; they stand here because a model is stored as
text and JSON, and no library object travels with it. A test holds them against MAPIE.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy import stats


def conformity(actual: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """How far each outcome lies outside its interval; negative inside (Romano, Patterson and Candès, 2019)."""
    return np.maximum(low - actual, actual - high)


def conformal_quantile(scores: np.ndarray, confidence: float) -> float:
    """The order statistic ``ceil((n + 1) x confidence)`` of the scores; the largest when there is none that high.

    An interval moved outwards by it covers a new exchangeable outcome with at least ``confidence``.

    >>> conformal_quantile(np.arange(1.0, 20.0), 0.9)
    18.0
    """
    place = min(math.ceil((len(scores) + 1) * confidence), len(scores))
    return float(np.sort(scores)[place - 1])


@dataclass(frozen=True)
class SumSpread:
    """How far the sum of a group's payments lies from its expectation.

    Members scatter on their own with variance ``dispersion x mean x owed`` each; besides, everybody moves together by a
    share ``common`` of the expectation, known from ``dates`` held-out dates.
    """

    dispersion: float
    common: float
    dates: int

    def interval(self, mean: np.ndarray, owed: np.ndarray, confidence: float) -> tuple[float, float, float]:
        """Expected sum with its lower and upper bound; the lower one never below 0."""
        total = float(mean.sum())
        variance = self.dispersion * float((mean * owed).sum()) + (self.common * total) ** 2
        reach = float(stats.t.ppf(0.5 + confidence / 2, max(self.dates - 1, 1))) * math.sqrt(variance)
        return total, max(total - reach, 0.0), total + reach


def sum_spread(dates: np.ndarray, actual: np.ndarray, mean: np.ndarray, owed: np.ndarray) -> SumSpread:
    """Both parts of the spread from held-out rows and their dates.

    The common part is what the squared relative errors of the dates' totals leave over after what members' own scatter
    explains; an error that all dates share counts in full.
    """
    weight = mean * owed
    dispersion = float(((actual - mean) ** 2).sum() / max(weight.sum(), 1e-9))
    days, place = np.unique(dates, return_inverse=True)
    expected, seen = np.bincount(place, weights=mean), np.bincount(place, weights=actual)
    own = dispersion * np.bincount(place, weights=weight) / np.maximum(expected, 1e-9) ** 2
    error = (seen / np.maximum(expected, 1e-9) - 1.0) ** 2
    return SumSpread(dispersion, math.sqrt(max(float((error - own).mean()), 0.0)), len(days))
