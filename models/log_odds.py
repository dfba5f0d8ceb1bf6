"""Log odds of probabilities, and the line through them with the least log loss.

The one solver behind Platt's calibration and behind the calibration slope of the indicators and alarms.
"""

from __future__ import annotations

import numpy as np
from scipy.special import expit

MOST_LOG_ODDS = 30.0
"""Log odds are kept within this distance of 0: a double cannot tell a larger one from certainty."""
_ROUNDS = 100
_LEAST_SHARE = 1e-10


def log_odds(probability: np.ndarray) -> np.ndarray:
    """Log odds of probabilities, at most ``MOST_LOG_ODDS`` from 0 (also of 0 and 1).

    >>> log_odds(np.array([0.0, 0.5, 1.0])).tolist()
    [-30.0, 0.0, 30.0]
    """
    p = np.asarray(probability, dtype=float)
    with np.errstate(divide="ignore"):
        return np.clip(np.log(p) - np.log1p(-p), -MOST_LOG_ODDS, MOST_LOG_ODDS)


def line_of_least_log_loss(
    score: np.ndarray, outcome: np.ndarray, *, pull: float, least_slope: float | None = None
) -> tuple[float, float] | None:
    """Slope and intercept in log odds with the least log loss, drawn to slope 1 and intercept 0; None if none is found.

    Newton's method from the level of the outcomes, each step halved until the loss falls: a whole step overshoots where
    nearly every fitted probability is close to 0 or 1, as those of far too sure scores are, and cutting it to a fixed
    size goes round in circles there.

    Args:
        score: log odds; with one that is not finite no line is found.
        outcome: 1 or 0.
        pull: weight of the line that changes nothing, in rows; above 0, so that there is one best line.
        least_slope: a flatter or falling line is drawn up to this slope, with the best intercept at it.

    >>> line_of_least_log_loss(np.array([0.0, 0.0]), np.array([1.0, 0.0]), pull=1e-3)
    (1.0, 0.0)
    """
    x, y = np.asarray(score, dtype=float), np.asarray(outcome, dtype=float)
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        return None
    rate = (y.sum() + 0.5) / (len(y) + 1.0)
    level = float(np.log(rate / (1.0 - rate)))
    both = _least(
        np.column_stack([x, np.ones(len(x))]), np.zeros(len(x)), y, pull, np.array([1.0, 0.0]), np.array([0.0, level])
    )
    if both is None or least_slope is None or both[0] >= least_slope:
        return None if both is None else (float(both[0]), float(both[1]))
    start = level - least_slope * (float(x.mean()) if len(x) else 0.0)
    alone = _least(np.ones((len(x), 1)), least_slope * x, y, pull, np.zeros(1), np.array([start]))
    return None if alone is None else (least_slope, float(alone[0]))


def _least(
    design: np.ndarray, offset: np.ndarray, outcome: np.ndarray, pull: float, drawn_to: np.ndarray, start: np.ndarray
) -> np.ndarray | None:
    """Coefficients with the least log loss of ``offset + design @ coefficients``; None when it did not converge."""

    def loss(beta: np.ndarray) -> float:
        odds, away = offset + design @ beta, beta - drawn_to
        return float((np.logaddexp(0.0, odds) - outcome * odds).sum() + 0.5 * pull * away @ away)

    beta, value = start, loss(start)
    for _ in range(_ROUNDS):
        fitted = expit(offset + design @ beta)
        gradient = design.T @ (fitted - outcome) + pull * (beta - drawn_to)
        curvature = (design * (fitted * (1 - fitted))[:, None]).T @ design + pull * np.eye(len(beta))
        step = np.linalg.solve(curvature, gradient)
        fall, blur = float(gradient @ step), 1e-12 * (1.0 + abs(value))
        if fall <= blur:  # what is left to gain drowns in rounding; the last whole step is as good as exact
            return beta - step
        share = 1.0
        while not (after := loss(beta - share * step)) <= value - 1e-4 * share * fall + 0.01 * blur:
            share /= 2
            if share < _LEAST_SHARE:
                return None
        beta, value = beta - share * step, after
    return None
