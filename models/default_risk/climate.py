"""How far the payment climate moves default risk: the level of the times that matured labels do not know yet.

The trees grow beside the climate of each row's own horizon, so they tell loans apart and not times; a calibrated
probability is then put at the climate expected on the loan's date. How much the climate moves the log odds is not read
from the few months of a history but from people: who has always paid less readily by one unit defaults that much more,
at the same past-due stage, and a climate that is lower by one unit makes everybody pay less readily by one.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy.optimize import brentq
from scipy.special import expit, logit
from sklearn.linear_model import LogisticRegression

from models.estimators import BinnedMatrix
from models.features import LOAN_FEATURES
from models.willingness.climate import Climate

if TYPE_CHECKING:
    from models.default_risk.train import TargetRows

STAGES = (1e-9, 0.1, 0.25, 0.5, 0.75)
"""Bounds of the past-due stages, as shares of the threshold."""
LEAST_SHARE, MOST_ROWS = 0.9, 60_000
STEEPEST, LEAST_SLOPE = -3.0, -0.1
"""No unit of the climate multiplies odds by more than 20; a few hundred rows could say anything."""
_PLACES, _RAW = np.polynomial.hermite_e.hermegauss(9)
_WEIGHTS = _RAW / _RAW.sum()


@dataclass(frozen=True)
class ClimateEffect:
    """Log odds of the event by one unit of the climate (0 or less), and the level at which probabilities stand as
    calibrated.
    """

    slope: float = 0.0
    usual: float = 0.0

    def log_odds(self, level: np.ndarray) -> np.ndarray:
        """The shift of every row; 0 where its climate is not known.

        >>> ClimateEffect(-1.5, 0.4).log_odds(np.array([0.5, -0.6, np.nan])).round(2).tolist()
        [-0.15, 1.5, -0.0]
        """
        return np.asarray(self.slope * np.nan_to_num(level - self.usual))

    def apply(self, probability: np.ndarray, climate: np.ndarray) -> np.ndarray:
        """Calibrated probabilities of the usual climate, put at the one expected of every row (level and variance).

        The odds are multiplied by what the level makes of them, and the mean is taken over how it may turn out: times
        that may be good or bad make more defaults than such as are surely in between, for what is bad about them
        weighs more than what is good.

        >>> climate = np.array([[0.0, 0.0], [0.4, 0.04]])
        >>> ClimateEffect(-1.5, 0.4).apply(np.array([0.02, 0.02]), climate).round(4).tolist()
        [0.0359, 0.0209]
        """
        if not self.slope:
            return probability
        odds = logit(probability) + self.log_odds(climate[:, 0])
        spread = -self.slope * np.sqrt(np.nan_to_num(climate[:, 1]))
        mean = np.zeros(len(odds))
        for place, weight in zip(_PLACES, _WEIGHTS, strict=True):
            mean += weight * expit(odds + spread * place)
        return mean


def at_calibration(
    effect: ClimateEffect, probability: np.ndarray, ahead: np.ndarray, outcome: np.ndarray
) -> ClimateEffect:
    """The effect with ``usual`` moved to where the calibrated probabilities stand.

    The calibration is learnt of scores that have the climate of their horizons in them, and used on scores without: it
    may stretch the one and not the other. So the level is taken at which the rows that it was learnt of, each at the
    climate of its horizon, have as many events as there were.

    Args:
        effect: as fitted.
        probability: calibrated, of scores without the climate.
        ahead: climate of every row's horizon.
        outcome: of every row.
    """
    known = np.isfinite(ahead)
    if effect.slope > LEAST_SLOPE or not 0 < outcome[known].sum() < known.sum():
        return effect
    odds, wanted = logit(probability[known]) + effect.log_odds(ahead[known]), outcome[known].mean()
    more = float(brentq(lambda extra: expit(odds + extra).mean() - wanted, -20.0, 20.0))
    return replace(effect, usual=round(effect.usual - more / effect.slope, 6))


def expected_climate(climate: Climate | None, dates: pd.Series, horizon_days: int) -> np.ndarray:
    """Of every date, the climate expected over the horizon and its variance, in two columns; NaN without a climate."""
    if climate is None:
        return np.full((len(dates), 2), np.nan)
    return np.column_stack(climate.expected(dates, horizon_days))


def climate_measures(
    effect: ClimateEffect, climate: Climate | None, day: date, horizon_days: int
) -> list[tuple[str, str | None, float]]:
    """For the limits: by what the climate expected on the day multiplies everybody's odds; nothing without one."""
    expected = expected_climate(climate, pd.Series([pd.Timestamp(day)]), horizon_days)[:, 0]
    if not np.isfinite(expected).all():
        return []
    return [("climate_odds_ratio", None, float(np.exp(effect.log_odds(expected)[0])))]


def fit_climate(part: TargetRows, ahead: np.ndarray, binned: BinnedMatrix, *, seed: int) -> ClimateEffect:
    """The effect by what members' own levels do at the same past-due stage; none without climate or willingness.

    A level that stays is told from a trouble that passes by giving the outcome both: the climate is expected to stay.
    ``ahead`` is the climate of every row's horizon.
    """
    known = np.isfinite(ahead)
    if known.mean() < LEAST_SHARE:
        return ClimateEffect()
    names = list(LOAN_FEATURES.feature_names)
    people = binned.matrix[part.rows][:, [names.index("willingness_level"), names.index("willingness_trouble")]]
    rows = np.flatnonzero(known & np.isfinite(people).all(axis=1))
    if len(rows) > MOST_ROWS:
        rows = np.random.default_rng(seed).choice(rows, MOST_ROWS, replace=False)
    outcome = part.outcome[rows]
    if not 0 < outcome.sum() < len(rows):
        return ClimateEffect()
    stage = np.searchsorted(np.array(STAGES) * part.threshold, part.past_due_days[rows], side="right")
    sides = np.column_stack([np.eye(len(STAGES) + 1)[stage], people[rows]])
    found = LogisticRegression(C=100.0, fit_intercept=False, max_iter=500).fit(sides, outcome)
    # rounded: the last digits of a solver are the machine's
    slope, usual = round(max(float(found.coef_[0, -2]), STEEPEST), 6), round(float(ahead[known].mean()), 6)
    return ClimateEffect(slope, usual) if slope < 0 else ClimateEffect()
