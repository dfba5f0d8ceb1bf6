"""What learns: gradient boosted trees, probability calibration, and the plain baselines that they must beat.

Everything here is deterministic for the same rows, settings and seed, and is stored as LightGBM text or JSON.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import lightgbm as lgb
import numpy as np
from scipy.special import expit, logit
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression

from models.metrics import log_loss
from puntual.errors import ModelError

TINY = 1e-6
SINGLE_THREAD_ROWS = 40_000
"""Below this many rows one thread grows a tree faster than several can agree on it."""


@dataclass(frozen=True)
class BoosterSettings:
    """How a booster is grown. Small trees and strong regularisation: effects overfit long before responses do."""

    rounds: int = 120
    learning_rate: float = 0.1
    num_leaves: int = 7
    min_rows_in_leaf: int = 100
    l2: float = 10.0
    feature_share: float = 0.4
    max_bin: int = 63
    n_jobs: int = 2
    seed: int = 0

    def parameters(self, objective: str) -> dict[str, Any]:
        """The LightGBM parameters.

        The row-wise layout is forced: left free, LightGBM times both and its choice could differ from run to run, and
        the column-wise one of 4.7 writes outside its memory when it grows on a subset of a dataset (2026-11).
        """
        return {
            "objective": objective,
            "learning_rate": self.learning_rate,
            "num_leaves": self.num_leaves,
            "min_data_in_leaf": self.min_rows_in_leaf,
            "lambda_l2": self.l2,
            "feature_fraction": self.feature_share,
            "max_bin": self.max_bin,
            "cat_smooth": 50,
            "min_data_per_group": 100,
            "num_threads": self.n_jobs,
            "seed": self.seed,
            "deterministic": True,
            "force_row_wise": True,
            "feature_pre_filter": False,
            "verbosity": -1,
        }


class BinnedMatrix:
    """A feature matrix binned once, from which boosters are grown on any of its rows.

    Binning costs as much as fifty trees; the models of one run share it.
    """

    def __init__(
        self,
        matrix: np.ndarray,
        names: Sequence[str],
        categories: Sequence[str],
        settings: BoosterSettings,
        *,
        monotone: Mapping[str, int] | None = None,
    ) -> None:
        self.matrix = matrix
        self.names = list(names)
        self.monotone = monotone
        self.settings = settings
        self._dataset = lgb.Dataset(
            matrix,
            label=np.zeros(len(matrix), dtype=np.float32),
            feature_name=self.names,
            categorical_feature=list(categories) or "auto",
            params=settings.parameters("binary"),
            free_raw_data=False,
        ).construct()

    def grow(
        self,
        target: np.ndarray,
        *,
        rows: np.ndarray | None = None,
        objective: str = "binary",
        weight: np.ndarray | None = None,
        offset: np.ndarray | None = None,
        monotone: Mapping[str, int] | None = None,
        settings: BoosterSettings | None = None,
        **extra: Any,
    ) -> lgb.Booster:
        """A booster grown on ``rows`` (all when None); ``target``, ``weight`` and ``offset`` are given for those rows.

        ``offset`` is a starting score in the units of the raw score; it is not part of what the booster predicts later.
        """
        data = self._dataset if rows is None else self._dataset.subset(cast("list[int]", rows)).construct()
        data.set_label(np.asarray(target, dtype=np.float32))
        data.set_weight(None if weight is None else np.asarray(weight, dtype=np.float32))
        if rows is not None or offset is not None:
            data.set_init_score(None if offset is None else np.asarray(offset, dtype=np.float64))
        chosen = settings or self.settings
        parameters = chosen.parameters(objective) | {"max_bin": self.settings.max_bin} | extra
        if len(target) < SINGLE_THREAD_ROWS:
            parameters["num_threads"] = 1
        if offset is not None:
            parameters["boost_from_average"] = False
        if monotone:
            parameters["monotone_constraints"] = [monotone.get(name, 0) for name in self.names]
            parameters["monotone_constraints_method"] = "basic"
        booster = lgb.train(parameters, data, num_boost_round=chosen.rounds)
        booster.free_dataset()
        if rows is None and offset is not None:
            data.set_init_score(None)
        return booster


def raw_score(booster: lgb.Booster, matrix: np.ndarray, *, n_jobs: int = 2) -> np.ndarray:
    """Raw score (log odds for a binary objective) of every row."""
    if len(matrix) == 0:
        return np.zeros(0)
    return np.asarray(booster.predict(matrix, raw_score=True, num_threads=n_jobs))


def probabilities(booster: lgb.Booster, matrix: np.ndarray, *, n_jobs: int = 2) -> np.ndarray:
    """What the objective predicts: for a multiclass one, one column per class."""
    return np.asarray(booster.predict(matrix, num_threads=n_jobs))


def contributions(booster: lgb.Booster, matrix: np.ndarray, *, n_jobs: int = 2) -> np.ndarray:
    """Exact tree SHAP values, one column per feature; a row's values sum to its raw score less the constant."""
    if len(matrix) == 0:
        return np.zeros((0, booster.num_feature()))
    return np.asarray(booster.predict(matrix, pred_contrib=True, num_threads=n_jobs))[:, :-1]


def booster_text(booster: lgb.Booster) -> str:
    """The booster in LightGBM's own text format."""
    return booster.model_to_string()


def booster_from_text(text: str) -> lgb.Booster:
    """A booster read from LightGBM's text format."""
    try:
        return lgb.Booster(model_str=text)
    except lgb.basic.LightGBMError as error:
        raise ModelError(f"a stored booster cannot be read ({error}); train again.") from error


# --- calibration --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Calibration:
    """A rising map from a raw score (log odds) to a probability: a line in log odds, or knots joined by lines.

    >>> Calibration("platt", slope=1.0, intercept=0.0).apply(np.array([0.0])).tolist()
    [0.5]
    >>> knots = Calibration("isotonic", x=(-2.0, 0.0, 2.0), y=(0.1, 0.2, 0.8))
    >>> knots.apply(np.array([-9.0, -1.0, 1.0])).round(3).tolist()
    [0.1, 0.15, 0.5]
    """

    kind: str
    slope: float = 1.0
    intercept: float = 0.0
    x: tuple[float, ...] = ()
    y: tuple[float, ...] = ()

    def apply(self, score: np.ndarray) -> np.ndarray:
        """Probabilities of raw scores; beyond the outer knots they stay at the outer values."""
        if self.kind == "platt":
            return expit(self.slope * score + self.intercept)
        return np.interp(score, self.x, self.y)

    def to_json(self) -> dict[str, Any]:
        """A JSON object that :meth:`from_json` reads."""
        return {
            "kind": self.kind,
            "slope": self.slope,
            "intercept": self.intercept,
            "x": list(self.x),
            "y": list(self.y),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Calibration:
        """The calibration written by :meth:`to_json`."""
        return cls(data["kind"], data["slope"], data["intercept"], tuple(data["x"]), tuple(data["y"]))


def fit_platt(score: np.ndarray, outcome: np.ndarray, *, steps: int = 30) -> Calibration:
    """The line in log odds with the least log loss, drawn a little towards the line that changes nothing.

    The pull is that of four rows, so a sample with one class only still gives finite numbers.
    """
    slope, intercept, pull = 1.0, 0.0, 4.0
    for _ in range(steps):
        probability = expit(slope * score + intercept)
        error, weight = probability - outcome, probability * (1 - probability)
        gradient = np.array([error @ score + pull * (slope - 1.0), error.sum() + pull * intercept])
        cross = weight @ score
        hessian = np.array([[weight @ (score * score) + pull, cross], [cross, weight.sum() + pull]])
        step = np.clip(np.linalg.solve(hessian, gradient), -2.0, 2.0)
        slope, intercept = slope - step[0], intercept - step[1]
        if np.abs(step).max() < 1e-9:
            break
    return Calibration("platt", slope=float(max(slope, 0.05)), intercept=float(intercept))


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
    overall = y.mean() if len(y) else 0.5
    centres = np.array([sx / n for n, sx, _ in joined])
    heights = np.maximum.accumulate([(sy + overall) / (n + 1) for n, _, sy in joined])
    keep = np.concatenate([[True], np.diff(centres) > 0])
    return Calibration("isotonic", x=tuple(map(float, centres[keep])), y=tuple(map(float, heights[keep])))


def choose_calibration(
    score: np.ndarray, outcome: np.ndarray, fold: np.ndarray, *, least_events: int = 200
) -> tuple[Calibration, dict[str, float]]:
    """The kind with the smaller log loss on people it did not see, refitted on all rows, and the log loss of each kind.

    Knots need events to stand on: with fewer than ``least_events`` the line is taken without a contest.
    """
    if min(outcome.sum(), len(outcome) - outcome.sum()) < least_events:
        return fit_platt(score, outcome), {}
    losses: dict[str, float] = {}
    for kind, fit in (("platt", fit_platt), ("isotonic", fit_isotonic)):
        held_out = np.empty(len(score))
        for part in np.unique(fold):
            here = fold == part
            held_out[here] = fit(score[~here], outcome[~here]).apply(score[here])
        losses[kind] = log_loss(outcome, held_out)
    best = fit_isotonic if losses["isotonic"] < losses["platt"] else fit_platt
    return best(score, outcome), losses


# --- season ------------------------------------------------------------------------------------------------------

SEASON_SPAN_DAYS = 365
"""A season is learnt only from dates that span a year; from less it would be a trend with another name."""
HARMONICS = 2


@dataclass(frozen=True)
class Season:
    """A smooth yearly shift of the log odds, the same for everybody: a constant and two waves."""

    coefficients: tuple[float, ...] = ()

    def log_odds(self, day_of_year: np.ndarray) -> np.ndarray:
        """The shift of every row; 0 when no season was learnt."""
        if not self.coefficients:
            return np.zeros(len(day_of_year))
        return _waves(day_of_year) @ np.array(self.coefficients)


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


def _waves(day_of_year: np.ndarray) -> np.ndarray:
    angle = 2 * np.pi * np.asarray(day_of_year, dtype=float) / 365.25
    columns = [np.ones(len(angle))]
    for harmonic in range(1, HARMONICS + 1):
        columns += [np.sin(harmonic * angle), np.cos(harmonic * angle)]
    return np.column_stack(columns)


# --- baselines ----------------------------------------------------------------------------------------------------


@dataclass
class Scorecard:
    """A logistic scorecard: features in a few bins, each bin's weight of evidence, one logistic regression."""

    edges: dict[int, np.ndarray] = field(default_factory=dict)
    evidence: dict[int, np.ndarray] = field(default_factory=dict)
    model: LogisticRegression | None = None

    def fit(self, matrix: np.ndarray, outcome: np.ndarray, *, bins: int = 8, least_value: float = 0.02) -> Scorecard:
        """Learn bins, weights of evidence and the regression; features with less information value are left out."""
        outcome = np.asarray(outcome, dtype=float)
        bad_total, good_total = outcome.sum() + 0.5, (1 - outcome).sum() + 0.5
        for place in range(matrix.shape[1]):
            column = matrix[:, place]
            known = column[~np.isnan(column)]
            if len(known) == 0:
                continue
            edges = np.unique(np.quantile(known, np.linspace(0, 1, bins + 1)[1:-1]))
            index = self._bin(column, edges)
            bad = np.bincount(index, weights=outcome, minlength=len(edges) + 2) + 0.5
            good = np.bincount(index, weights=1 - outcome, minlength=len(edges) + 2) + 0.5
            evidence = np.log((bad / bad_total) / (good / good_total))
            if ((bad / bad_total - good / good_total) * evidence).sum() >= least_value:
                self.edges[place], self.evidence[place] = edges, evidence
        if not self.edges:
            raise ModelError("the scorecard found no feature with information; the sample is too small for it.")
        self.model = LogisticRegression(C=0.1, max_iter=300).fit(self._evidence_matrix(matrix), outcome)
        return self

    def predict(self, matrix: np.ndarray) -> np.ndarray:
        """Probability of every row."""
        if self.model is None:
            raise ModelError("the scorecard has not been fitted.")
        return self.model.predict_proba(self._evidence_matrix(matrix))[:, 1]

    def _evidence_matrix(self, matrix: np.ndarray) -> np.ndarray:
        return np.column_stack(
            [self.evidence[place][self._bin(matrix[:, place], edges)] for place, edges in self.edges.items()]
        )

    @staticmethod
    def _bin(column: np.ndarray, edges: np.ndarray) -> np.ndarray:
        index = np.searchsorted(edges, column, side="left") + 1
        return np.where(np.isnan(column), 0, index)


def past_due_curve(past_due_days: np.ndarray, outcome: np.ndarray) -> Calibration:
    """Past-due days alone: the rising curve of the outcome's rate over past-due days."""
    rising = IsotonicRegression(out_of_bounds="clip").fit(past_due_days, outcome)
    return Calibration(
        "isotonic",
        x=tuple(map(float, rising.X_thresholds_)),
        y=tuple(map(float, np.clip(rising.y_thresholds_, 1e-4, 1 - 1e-4))),
    )


def log_odds(probability: np.ndarray) -> np.ndarray:
    """Log odds with the probability kept off 0 and 1."""
    return logit(np.clip(probability, TINY, 1 - TINY))
