"""The yearly season of an outcome, and how it is told from the times, which change once and for all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import expit, logit

SEASON_SPAN_DAYS = 365
"""A season is learnt only from dates that span a year; from less it would be a trend with another name."""
HARMONICS = 2
_SEASON_STRENGTHS = (0.0, 0.05, 0.1, 0.2, 0.4)
WALK_SPEEDS = (0.0, 0.02, 0.05, 0.1, 0.2)
"""Candidates, in log odds: of each wave of a season, and of the step of the times in four weeks."""
_LEVEL_SPREAD = 1.0
_STEP = np.timedelta64(28, "D")


@dataclass(frozen=True)
class Season:
    """A smooth yearly shift of the log odds, the same for everybody: a constant and two waves."""

    coefficients: tuple[float, ...] = ()

    def log_odds(self, day_of_year: np.ndarray) -> np.ndarray:
        """The shift of every row; 0 when no season was learnt."""
        if not self.coefficients:
            return np.zeros(len(day_of_year))
        return _waves(day_of_year) @ np.array(self.coefficients)

    def __add__(self, other: Season) -> Season:
        """Both shifts together."""
        if not self.coefficients or not other.coefficients:
            return self if self.coefficients else other
        return Season(tuple(a + b for a, b in zip(self.coefficients, other.coefficients, strict=True)))


def fit_season(day_of_year: np.ndarray, outcome: np.ndarray, *, span_days: int) -> Season:
    """The season of an outcome over the days of the year; none when ``span_days`` is under a year."""
    if span_days < SEASON_SPAN_DAYS or not 0 < outcome.mean() < 1:
        return Season()
    days, place = np.unique(day_of_year, return_inverse=True)
    waves = _waves(days)
    rows = np.bincount(place.ravel()).astype(float)
    events = np.bincount(place.ravel(), weights=outcome)
    pull = np.diag([0.0] + [0.01 * len(outcome) * outcome.mean() * (1 - outcome.mean())] * (2 * HARMONICS))
    beta = np.zeros(waves.shape[1])
    beta[0] = logit(outcome.mean())
    for _ in range(25):
        probability = expit(waves @ beta)
        gradient = waves.T @ (rows * probability - events) + pull @ beta
        hessian = (waves * (rows * probability * (1 - probability))[:, None]).T @ waves + pull
        step = np.linalg.lstsq(hessian, gradient, rcond=None)[0]
        beta = beta - np.clip(step, -1.0, 1.0)
        if np.abs(step).max() < 1e-9:
            break
    return Season(tuple(map(float, beta)))


def season_left_over(
    dates: np.ndarray, day_of_year: np.ndarray, outcome: np.ndarray, score: np.ndarray, *, span_days: int
) -> Season:
    """The season of what ``score`` (log odds) leaves over, as far as a walk of the times does not explain it as well.

    A year and a half of dates hardly tells a season from a boom and a bust. Both are fitted to the shifts of the dates,
    a season of unknown strength and a random walk of unknown speed; each pair counts by how likely it makes the
    shifts. The level of the walk is left to the calibration.

    Args:
        dates: date of every row.
        day_of_year: its day of the year.
        outcome: 1 or 0.
        score: log odds by people who were not learnt from.
        span_days: from the first date to the last; under a year there is no season.

    Returns:
        Waves around 0, to be added to ``score``.
    """
    if span_days < SEASON_SPAN_DAYS or not 0 < outcome.mean() < 1:
        return Season()
    days, first, place = np.unique(dates, return_index=True, return_inverse=True)
    shift = np.zeros(len(days))
    for _ in range(10):
        chance = expit(score + shift[place])
        information = np.bincount(place, weights=chance * (1 - chance)) + 1.0
        shift = shift + np.clip((np.bincount(place, weights=outcome - chance) - shift) / information, -1.0, 1.0)
    waves = _waves(day_of_year[first])[:, 1:]
    told = told_from_season(days, waves, shift, 1.0 / information)
    return Season((0.0, *map(float, told.season)))


@dataclass(frozen=True)
class Told:
    """A series taken apart: the coefficients of its season, and the times on every day.

    ``ahead`` is the mean of the times over the days that were asked for, as it is expected, and ``ahead_variance`` how
    far it may turn out otherwise; NaN unless asked for.
    """

    season: np.ndarray
    times: np.ndarray
    ahead: float = np.nan
    ahead_variance: float = np.nan


def told_from_season(
    days: np.ndarray,
    parts: np.ndarray,
    shift: np.ndarray,
    error: np.ndarray,
    *,
    speeds: Sequence[float] = WALK_SPEEDS,
    lasting: Sequence[float] = (np.inf,),
    asked: np.ndarray | None = None,
) -> Told:
    """What of a series is the season, and what are the times: parts of unknown strength, a walk of unknown speed.

    Every pair of strength and speed counts by how likely it makes the series, and so does how long a change lasts.

    Args:
        days: of the series, rising, as datetime64.
        parts: what a season is made of, one column each: waves, or months.
        shift: the series, in log odds.
        error: variance of every entry.
        speeds: of the walk, in log odds in four weeks.
        lasting: half-lives of a change of the times in steps of four weeks; infinite for one that stays.
        asked: days, later than the series or not, whose mean is asked for.
    """
    place, later = ((one - days[0]) / _STEP for one in (days, days[:0] if asked is None else asked))
    likelihood, told = [], []
    for half_life in lasting:
        within, across, beyond = (_walk(half_life, *pair) for pair in ((place, place), (later, place), (later, later)))
        for strength in _SEASON_STRENGTHS:
            for speed in speeds:
                times = speed**2 * within + _LEVEL_SPREAD**2
                spread = strength**2 * parts @ parts.T + times + np.diag(error)
                reach = (speed**2 * across + _LEVEL_SPREAD**2).mean(axis=0) if len(later) else np.zeros(len(days))
                solved, reached = np.linalg.solve(spread, np.column_stack([shift, reach])).T
                likelihood.append(-0.5 * (np.linalg.slogdet(spread)[1] + shift @ solved))
                doubt = (speed**2 * beyond.mean() + _LEVEL_SPREAD**2 - reach @ reached) if len(later) else 0.0
                told.append((strength**2 * parts.T @ solved, times @ solved, reach @ solved, doubt))
    weight = np.exp(np.array(likelihood) - max(likelihood))
    weight /= weight.sum()
    season, times, ahead, doubt = (np.array(one) for one in zip(*told, strict=True))
    if not len(later):
        return Told(weight @ season, weight @ times)
    mean = float(weight @ ahead)
    return Told(weight @ season, weight @ times, mean, float(weight @ (doubt + (ahead - mean) ** 2)))


def _walk(half_life: float, one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Covariance of the times between places in steps of four weeks, at a speed of one."""
    if np.isinf(half_life):
        return np.minimum.outer(one, other)
    fade = np.log(2.0) / half_life
    return np.asarray(np.exp(-fade * np.abs(np.subtract.outer(one, other))) / (2 * fade))


def _waves(day_of_year: np.ndarray) -> np.ndarray:
    angle = 2 * np.pi * np.asarray(day_of_year, dtype=float) / 365.25
    columns = [np.ones(len(angle))]
    for harmonic in range(1, HARMONICS + 1):
        columns += [np.sin(harmonic * angle), np.cos(harmonic * angle)]
    return np.column_stack(columns)
