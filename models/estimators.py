"""What learns: gradient boosted trees.

Everything here is deterministic for the same rows, settings and seed, and is stored as LightGBM text or JSON.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import lightgbm as lgb
import numpy as np

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
