"""The plain models that default risk must beat: past-due days alone, a scorecard, and LightGBM as it comes."""

from __future__ import annotations

import lightgbm as lgb
import numpy as np
import pandas as pd
from category_encoders import WOEEncoder
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline

from models.calibration import Calibration
from models.estimators import probabilities
from puntual.errors import ModelError


class Scorecard:
    """A logistic scorecard: features in a few bins, each bin's weight of evidence, one logistic regression."""

    def __init__(self, bins: int = 8, regularization: float = 0.1) -> None:
        self.bins = bins
        self.regularization = regularization
        self._edges: list[np.ndarray] = []
        self._pipeline: Pipeline | None = None

    def fit(self, matrix: np.ndarray, outcome: np.ndarray) -> Scorecard:
        """Learn bins (quantiles of the known values), weights of evidence and the regression.

        Raises:
            ModelError: the outcome is the same on every row.
        """
        outcome = np.asarray(outcome, dtype=float)
        if len(outcome) == 0 or outcome.min() == outcome.max():
            raise ModelError("a scorecard needs rows with and without the event; the sample is too small for it.")
        inner = np.linspace(0, 1, self.bins + 1)[1:-1]
        self._edges = [
            np.unique(np.quantile(known, inner)) if len(known := column[~np.isnan(column)]) else np.zeros(0)
            for column in matrix.T
        ]
        self._pipeline = make_pipeline(
            WOEEncoder(cols=list(range(matrix.shape[1])), regularization=1.0),
            LogisticRegression(C=self.regularization, max_iter=300),
        ).fit(self._binned(matrix), outcome)
        return self

    def predict(self, matrix: np.ndarray) -> np.ndarray:
        """Probability of every row."""
        if self._pipeline is None:
            raise ModelError("the scorecard has not been fitted.")
        return self._pipeline.predict_proba(self._binned(matrix))[:, 1]

    def _binned(self, matrix: np.ndarray) -> pd.DataFrame:
        """Bins of every column as whole numbers, missing values in one of their own."""
        found = np.full(matrix.shape, -1, dtype=np.int16)
        for place, edges in enumerate(self._edges):
            column = matrix[:, place]
            found[:, place] = np.where(np.isnan(column), -1, np.searchsorted(edges, column, side="left"))
        return pd.DataFrame(found)


def default_lightgbm(
    matrix: np.ndarray, outcome: np.ndarray, judged: np.ndarray, *, n_jobs: int = 1, seed: int = 0
) -> np.ndarray:
    """Probabilities of the judged rows by LightGBM with the library's own defaults, categories read as numbers.

    Only what makes a second run give the same bytes is set.
    """
    same = {"objective": "binary", "deterministic": True, "force_row_wise": True, "verbosity": -1}
    data = lgb.Dataset(matrix, label=np.asarray(outcome, dtype=np.float32), params={"verbosity": -1})
    booster = lgb.train(same | {"num_threads": n_jobs, "seed": seed}, data, num_boost_round=100)
    return probabilities(booster, judged, n_jobs=n_jobs)


def past_due_curve(past_due_days: np.ndarray, outcome: np.ndarray) -> Calibration:
    """Past-due days alone: the rising curve of the outcome's rate over past-due days."""
    rising = IsotonicRegression(out_of_bounds="clip").fit(past_due_days, outcome)
    return Calibration(
        "isotonic",
        x=tuple(map(float, rising.X_thresholds_)),
        y=tuple(map(float, np.clip(rising.y_thresholds_, 1e-4, 1 - 1e-4))),
    )
