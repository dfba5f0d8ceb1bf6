"""Rising maps from a model's raw score (log odds) to a probability, and the choice between them.

Four kinds, from stiff to free: a line in log odds (Platt), a line at either end (beta calibration: Kull, Silva Filho
and Flach, 2017), a rising spline, and the knots of isotonic regression. Which one is used is decided by log loss on
later dates of people whom the map did not see. A map is stored as a small JSON object.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.interpolate import BSpline
from scipy.optimize import minimize
from scipy.special import expit
from sklearn.isotonic import IsotonicRegression

from models.log_odds import MOST_LOG_ODDS, line_of_least_log_loss
from models.metrics import log_loss
from puntual.errors import ModelError

GATHERED_ROWS = 2_000
SPLINE_DEGREE = 3


@dataclass(frozen=True)
class Calibration:
    """A rising map from a raw score (log odds) to a probability strictly between 0 and 1.

    1. ``platt``: ``slope * score + intercept`` in log odds.
    2. ``beta``: ``slope * log(s) - upper_slope * log(1 - s) + intercept`` in log odds, ``s`` being the uncalibrated
       probability: low and high scores may be stretched by different amounts.
    3. ``spline``: a rising cubic spline in log odds with knots ``x`` and coefficients ``y``, a line beyond them.
    4. ``isotonic``: probabilities ``y`` at the scores ``x``, joined by lines, level beyond the outer ones.

    >>> Calibration("platt", slope=1.0, intercept=0.0).apply(np.array([0.0])).tolist()
    [0.5]
    >>> Calibration("beta", slope=1.0, upper_slope=1.0).apply(np.array([2.0])).round(4).tolist()
    [0.8808]
    >>> knots = Calibration("isotonic", x=(-2.0, 0.0, 2.0), y=(0.1, 0.2, 0.8))
    >>> knots.apply(np.array([-9.0, -1.0, 1.0])).round(3).tolist()
    [0.1, 0.15, 0.5]
    """

    kind: str
    slope: float = 1.0
    intercept: float = 0.0
    x: tuple[float, ...] = ()
    y: tuple[float, ...] = ()
    upper_slope: float = 1.0

    def apply(self, score: np.ndarray) -> np.ndarray:
        """Probabilities of raw scores; a higher score never gets a lower one."""
        if self.kind == "isotonic":
            return np.interp(score, self.x, self.y)
        if self.kind == "platt":
            odds = self.slope * score + self.intercept
        elif self.kind == "beta":
            odds = (
                self.slope * -np.logaddexp(0.0, -score) + self.upper_slope * np.logaddexp(0.0, score) + self.intercept
            )
        else:
            odds = _spline_log_odds(np.asarray(score, dtype=float), np.array(self.x), np.array(self.y))
        return expit(np.clip(odds, -MOST_LOG_ODDS, MOST_LOG_ODDS))

    def to_json(self) -> dict[str, Any]:
        """A JSON object that :meth:`from_json` reads."""
        stored = {
            "kind": self.kind,
            "slope": self.slope,
            "intercept": self.intercept,
            "x": list(self.x),
            "y": list(self.y),
        }
        return stored | ({"upper_slope": self.upper_slope} if self.kind == "beta" else {})

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Calibration:
        """The calibration written by :meth:`to_json`."""
        upper = data.get("upper_slope", 1.0)
        return cls(data["kind"], data["slope"], data["intercept"], tuple(data["x"]), tuple(data["y"]), upper)


def fit_platt(score: np.ndarray, outcome: np.ndarray, *, pull: float = 4.0) -> Calibration:
    """The line in log odds with the least log loss, drawn a little towards the line that changes nothing.

    The pull is that of four rows, so a sample with one class only still gives finite numbers. The slope does not fall
    below 0.05, so the order of any two scores is kept.

    Raises:
        ModelError: a score or an outcome is not a finite number.
    """
    found = line_of_least_log_loss(score, outcome, pull=pull, least_slope=0.05)
    if found is None:
        raise ModelError(
            f"calibration: no line through {len(score)} scores was found; "
            f"{int((~np.isfinite(np.asarray(score, dtype=float))).sum())} of them and "
            f"{int((~np.isfinite(np.asarray(outcome, dtype=float))).sum())} outcomes are not finite numbers. "
            "Check the rows that the model was trained on."
        )
    return Calibration("platt", slope=found[0], intercept=found[1])


def fit_beta(score: np.ndarray, outcome: np.ndarray, *, pull: float = 4.0) -> Calibration:
    """The beta calibration with the least log loss, drawn towards the map that changes nothing by four rows.

    Neither slope falls below 0.05, so the order of any two scores is kept.
    """
    centre, rows, events = _gathered(score, outcome)
    parts = np.column_stack([-np.logaddexp(0.0, -centre), np.logaddexp(0.0, centre), np.ones(len(centre))])
    found = _least_log_loss(
        parts,
        rows,
        events,
        start=np.array([1.0, 1.0, 0.0]),
        pull=pull,
        bounds=[(0.05, None), (0.05, None), (None, None)],
    )
    return Calibration("beta", slope=float(found[0]), upper_slope=float(found[1]), intercept=float(found[2]))


def fit_spline(score: np.ndarray, outcome: np.ndarray, *, knots: int = 5, stiffness: float = 5.0) -> Calibration:
    """A rising cubic spline in log odds between the scores' ends, with inner knots at their quantiles.

    Its coefficients never fall, which makes the spline rise; bends are penalised, so that with few rows it is a line.
    With fewer different scores than a spline has parts, the line of :func:`fit_platt` is given.
    """
    centre, rows, events = _gathered(score, outcome)
    inner = np.unique(np.quantile(centre, np.linspace(0, 1, knots + 2)))
    if len(inner) < 4 or inner[-1] - inner[0] < 1e-6:
        return fit_platt(score, outcome)
    places = np.concatenate([[inner[0]] * SPLINE_DEGREE, inner, [inner[-1]] * SPLINE_DEGREE])
    basis = BSpline.design_matrix(centre, places, SPLINE_DEGREE).toarray()
    count = basis.shape[1]
    # Mean knot of each coefficient: coefficients that lie on a line over these make the spline that line.
    middle = np.array([places[k + 1 : k + 1 + SPLINE_DEGREE].mean() for k in range(count)])
    line = fit_platt(score, outcome)
    rise = np.diff(middle)
    cumulative = np.tril(np.ones((count, count - 1)), -1)
    # Unknowns: the first coefficient, then the slope of every step.
    design = np.column_stack([np.ones(len(centre)), basis @ (cumulative * rise)])
    bend = np.zeros((count - 2, count))
    bend[np.arange(count - 2), np.arange(1, count - 1)] = -1.0
    bend[np.arange(count - 2), np.arange(2, count)] = 1.0
    start = np.concatenate([[line.slope * middle[0] + line.intercept], np.full(count - 1, line.slope)])
    found = _least_log_loss(
        design,
        rows,
        events,
        start=start,
        pull=1e-3,
        bounds=[(None, None)] + [(1e-3, None)] * (count - 1),
        penalty=stiffness * bend.T @ bend,
    )
    heights = found[0] + cumulative @ (rise * found[1:])
    return Calibration("spline", x=tuple(map(float, places)), y=tuple(map(float, heights)))


def fit_isotonic(score: np.ndarray, outcome: np.ndarray, *, least_rows: int = 200) -> Calibration:
    """Knots of the best rising step function, each at its mean score and drawn a little to the overall rate.

    Steps with fewer than ``least_rows`` rows are joined with the next, and lines between the knots keep the order of
    rows within a step, so ranking is kept and no probability is exactly 0 or 1.
    """
    order = np.argsort(score, kind="stable")
    x, y = score[order], np.asarray(outcome, dtype=float)[order]
    fitted = IsotonicRegression(out_of_bounds="clip").fit(x, y).predict(x)
    step = np.concatenate([[0], np.cumsum(np.diff(fitted) > 0)])
    rows = np.bincount(step).astype(float)
    sums_x, sums_y = np.bincount(step, weights=x), np.bincount(step, weights=y)
    joined: list[list[float]] = []
    for n, sx, sy in zip(rows, sums_x, sums_y, strict=True):
        if joined and joined[-1][0] < least_rows:
            joined[-1] = [joined[-1][0] + n, joined[-1][1] + sx, joined[-1][2] + sy]
        else:
            joined.append([n, sx, sy])
    if len(joined) > 1 and joined[-1][0] < least_rows:
        last = joined.pop()
        joined[-1] = [a + b for a, b in zip(joined[-1], last, strict=True)]
    # A rate of 0 or 1 over everybody is kept off certainty by one row of each kind.
    overall = (y.sum() + 1.0) / (len(y) + 2.0)
    centres = np.array([sx / n for n, sx, _ in joined])
    heights = np.maximum.accumulate([(sy + overall) / (n + 1) for n, _, sy in joined])
    keep = np.concatenate([[True], np.diff(centres) > 0])
    return Calibration("isotonic", x=tuple(map(float, centres[keep])), y=tuple(map(float, heights[keep])))


FITS: dict[str, Callable[[np.ndarray, np.ndarray], Calibration]] = {
    "platt": fit_platt,
    "beta": fit_beta,
    "spline": fit_spline,
    "isotonic": fit_isotonic,
}
"""The kinds that compete, stiffest first: of two with the same log loss the stiffer one is taken."""


def choose_calibration(
    score: np.ndarray,
    outcome: np.ndarray,
    fold: np.ndarray,
    *,
    dates: np.ndarray | None = None,
    least_events: int = 200,
) -> tuple[Calibration, dict[str, float]]:
    """The kind with the smaller log loss on later rows of other people, refitted on all rows, and each kind's log loss.

    Fitted on the earlier half of the dates without a fold of members, a kind is judged by that fold on the later half:
    a bend that was there on some dates only is no reason to bend. Without ``dates``, with a single one, or with fewer
    than a quarter of ``least_events`` events (or rows without one) in a half, members alone are kept apart.

    Bends need events to stand on: with fewer than ``least_events`` the line is taken without a contest.
    """
    if min(outcome.sum(), len(outcome) - outcome.sum()) < least_events:
        return fit_platt(score, outcome), {}
    learns, judges = _halves(outcome, dates, least_events / 4)
    losses: dict[str, float] = {}
    for kind, fit in FITS.items():
        held_out = np.full(len(score), np.nan)
        for part in np.unique(fold[judges]):
            learn, judge = learns & (fold != part), judges & (fold == part)
            held_out[judge] = fit(score[learn], outcome[learn]).apply(score[judge])
        losses[kind] = log_loss(outcome[judges], held_out[judges])
    best = min(losses, key=lambda kind: losses[kind])
    return FITS[best](score, outcome), losses


def _halves(outcome: np.ndarray, dates: np.ndarray | None, least: float) -> tuple[np.ndarray, np.ndarray]:
    """Which rows the kinds are fitted on and which they are judged by; all of them where time cannot part them."""
    everything = np.ones(len(outcome), dtype=bool)
    days = np.unique(dates) if dates is not None else np.zeros(0)
    if dates is None or len(days) < 2:
        return everything, everything
    later = np.asarray(dates >= days[(len(days) + 1) // 2])
    for half in (later, ~later):
        if min(outcome[half].sum(), half.sum() - outcome[half].sum()) < least:
            return everything, everything
    return ~later, later


def _gathered(score: np.ndarray, outcome: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Neighbouring scores joined into at most ``GATHERED_ROWS`` groups of equal size: mean score, rows and events."""
    order = np.argsort(score, kind="stable")
    group = np.arange(len(score)) * min(GATHERED_ROWS, len(score)) // max(len(score), 1)
    rows = np.bincount(group).astype(float)
    centre = np.bincount(group, weights=np.asarray(score, dtype=float)[order]) / rows
    return centre, rows, np.bincount(group, weights=np.asarray(outcome, dtype=float)[order])


def _least_log_loss(
    design: np.ndarray,
    rows: np.ndarray,
    events: np.ndarray,
    *,
    start: np.ndarray,
    pull: float,
    bounds: list[tuple[float | None, float | None]],
    penalty: np.ndarray | None = None,
) -> np.ndarray:
    """Bounded coefficients with the least log loss of grouped rows, drawn to ``start`` and kept from bending."""
    extra = np.zeros((len(start), len(start))) if penalty is None else penalty

    def loss(beta: np.ndarray) -> tuple[float, np.ndarray]:
        odds = design @ beta
        away = beta - start
        value = rows @ np.logaddexp(0.0, odds) - events @ odds + 0.5 * pull * away @ away + 0.5 * beta @ extra @ beta
        slope = design.T @ (rows * expit(odds) - events) + pull * away + extra @ beta
        return float(value), slope

    return minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": 300}).x


def _spline_log_odds(score: np.ndarray, knots: np.ndarray, coefficients: np.ndarray) -> np.ndarray:
    spline = BSpline(knots, coefficients, SPLINE_DEGREE)
    low, high = knots[0], knots[-1]
    inside = spline(np.clip(score, low, high))
    # At the ends the slope of a clamped spline is that of its outer coefficients.
    first = (coefficients[1] - coefficients[0]) * SPLINE_DEGREE / (knots[SPLINE_DEGREE + 1] - low)
    last = (coefficients[-1] - coefficients[-2]) * SPLINE_DEGREE / (high - knots[-SPLINE_DEGREE - 2])
    return inside + first * np.minimum(score - low, 0.0) + last * np.maximum(score - high, 0.0)
