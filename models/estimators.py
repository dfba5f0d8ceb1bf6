"""What learns: gradient boosted trees and the yearly season that they grow on top of.

Everything here is deterministic for the same rows, settings and seed, and is stored as LightGBM text or JSON.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import lightgbm as lgb
import numpy as np
from scipy.special import expit, logit

from puntual.errors import ModelError

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


class BinnedPart:
    """Some rows of a binned matrix, to be grown on as if they were all: parts of one matrix are binned once."""

    def __init__(self, whole: BinnedMatrix, places: np.ndarray) -> None:
        self.whole = whole
        self.places = places

    def grow(self, target: np.ndarray, *, rows: np.ndarray | None = None, **given: Any) -> lgb.Booster:
        """As :meth:`BinnedMatrix.grow`; ``rows`` are places among those of the part."""
        return self.whole.grow(target, rows=self.places if rows is None else self.places[rows], **given)


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


# --- season ------------------------------------------------------------------------------------------------------

SEASON_SPAN_DAYS = 365
"""A season is learnt only from dates that span a year; from less it would be a trend with another name."""
HARMONICS = 2
_SEASON_STRENGTHS = (0.0, 0.05, 0.1, 0.2, 0.4)
_WALK_SPEEDS = (0.0, 0.02, 0.05, 0.1, 0.2)
"""Candidates, in log odds: of each wave of a season that is left over, and of the step of the times in four weeks."""
_LEVEL_SPREAD = 1.0


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
    months = (days - days[0]) / np.timedelta64(28, "D")
    walk = np.minimum.outer(months, months)
    likelihood, means = [], []
    for strength in _SEASON_STRENGTHS:
        for speed in _WALK_SPEEDS:
            seen = strength**2 * waves @ waves.T
            spread = seen + speed**2 * walk + _LEVEL_SPREAD**2 + np.diag(1.0 / information)
            solved = np.linalg.solve(spread, shift)
            likelihood.append(-0.5 * (np.linalg.slogdet(spread)[1] + shift @ solved))
            means.append(strength**2 * waves.T @ solved)
    weight = np.exp(np.array(likelihood) - max(likelihood))
    beta = weight @ np.array(means) / weight.sum()
    return Season((0.0, *map(float, beta)))


def _waves(day_of_year: np.ndarray) -> np.ndarray:
    angle = 2 * np.pi * np.asarray(day_of_year, dtype=float) / 365.25
    columns = [np.ones(len(angle))]
    for harmonic in range(1, HARMONICS + 1):
        columns += [np.sin(harmonic * angle), np.cos(harmonic * angle)]
    return np.column_stack(columns)
