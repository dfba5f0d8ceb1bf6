"""The level of the times: by how much people pay more or less in a week than what is known of each of them says.

A base learnt over two years says what a usual week brings. Wages paid late, a strike, a good harvest move everybody
for weeks, and no column of a member tells of it; held against usual weeks, everyone contacted in a good month looks as
if the contact had worked. The level follows the weeks as a random walk (the local level model of statistics).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import expit

LEAST_ROWS = 30
"""Rows that a week needs, or it says nothing of the level."""
_WALKS = (1e-6, 1e-4, 4e-4, 1.6e-3, 6.4e-3, 2.5e-2)
_SCATTERS = (0.0, 1e-3, 4e-3, 1.6e-2)
"""Candidates of the variance by which the level moves in a week, and of what moves a single week alone."""
_STEPS = 8


@dataclass(frozen=True)
class Times:
    """Shift of the log odds of paying in each of ``weeks``, in their order, as all weeks together tell it."""

    weeks: np.ndarray
    level: np.ndarray

    @property
    def last(self) -> float:
        """The level of the newest week; 0 without any."""
        return float(self.level[-1]) if len(self.level) else 0.0

    def of(self, week: np.ndarray) -> np.ndarray:
        """The level of these weeks; a week that was not seen has that of the one before, or of the first."""
        if not len(self.level):
            return np.zeros(len(week))
        return self.level[np.clip(np.searchsorted(self.weeks, week, side="right") - 1, 0, len(self.level) - 1)]


def fit_times(week: np.ndarray, log_odds: np.ndarray, paid: np.ndarray) -> Times:
    """The level of every week that has rows, from what was paid beyond ``log_odds``.

    Each week's own shift and its error are those of the logistic likelihood; a Kalman filter and smoother join them.
    How fast the level moves, and how much a single week scatters about it, are the candidates under which the weeks are
    likeliest.

    Args:
        week: dates, one per row.
        log_odds: of paying in a usual week, one per row.
        paid: 1 or 0, one per row.

    Returns:
        The levels; none without rows. A week of fewer than 30 rows has what its neighbours say.
    """
    weeks, place = np.unique(week, return_inverse=True)
    if not len(weeks):
        return Times(weeks, np.zeros(0))
    count = np.bincount(place, minlength=len(weeks))
    shift = np.zeros(len(weeks))
    for _ in range(_STEPS):
        chance = expit(log_odds + shift[place])
        information = np.bincount(place, chance * (1 - chance), minlength=len(weeks))
        score = np.bincount(place, paid - chance, minlength=len(weeks)) - shift  # as one row of weight at 0
        shift = shift + np.clip(score / (information + 1.0), -1.0, 1.0)
    error = np.where(count >= LEAST_ROWS, 1.0 / (information + 1.0), np.inf)
    _, level = max(
        (_follow(shift, error + scatter, walk) for walk in _WALKS for scatter in _SCATTERS), key=lambda found: found[0]
    )
    return Times(weeks, level)


def _follow(seen: np.ndarray, error: np.ndarray, walk: float) -> tuple[float, np.ndarray]:
    """Log likelihood of the weeks, and the smoothed level; before the first week it lies near 0."""
    size = len(seen)
    ahead, ahead_error = np.zeros(size), np.zeros(size)
    now, now_error = np.zeros(size), np.zeros(size)
    level, spread, likelihood = 0.0, 0.25, 0.0
    for at in range(size):
        ahead[at], ahead_error[at] = level, spread + walk
        gain = 0.0 if np.isinf(error[at]) else ahead_error[at] / (ahead_error[at] + error[at])
        if gain:
            whole = ahead_error[at] + error[at]
            likelihood -= 0.5 * (np.log(whole) + (seen[at] - ahead[at]) ** 2 / whole)
        level, spread = ahead[at] + gain * (seen[at] - ahead[at]), (1 - gain) * ahead_error[at]
        now[at], now_error[at] = level, spread
    for at in range(size - 2, -1, -1):
        now[at] += now_error[at] / ahead_error[at + 1] * (now[at + 1] - ahead[at + 1])
    return likelihood, now
