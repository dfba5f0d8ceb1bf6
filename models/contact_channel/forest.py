"""An honest causal forest: trees split where effects differ, and other members say how large the effects are.

As in generalised random forests, on residuals: what was paid beyond expectation over the treatment beyond expectation,
weighted by the square of the latter. LightGBM grows the trees on one half of the members (bagged rows, some of the
columns each); the value of every leaf is then counted anew on the other half, so that no member speaks for himself.
"""

from __future__ import annotations

import lightgbm as lgb
import numpy as np
import pandas as pd

from models.datasets import member_fold
from models.estimators import BinnedMatrix, BinnedPart, BoosterSettings

PULL_WEIGHT = 10.0
"""A leaf's effect is drawn to the mean effect as if this much weight of rows had shown that."""
BAGGED_SHARE = 0.5


def honest_forest(
    binned: BinnedMatrix | BinnedPart,
    matrix: np.ndarray,
    places: np.ndarray,
    target: np.ndarray,
    weight: np.ndarray,
    member: np.ndarray,
    *,
    settings: BoosterSettings,
) -> lgb.Booster:
    """The forest as a booster whose prediction is the mean of its trees.

    Args:
        binned: holds the rows of ``matrix`` in the same order.
        matrix: features.
        places: rows of both that are used; the arrays after it are given for these.
        target: residual of the outcome over the residual of the treatment.
        weight: square of the residual of the treatment.
        member: whose row it is.
        settings: number and size of the trees.
    """
    half = member_fold(pd.Series(member).astype(str), 2, salt=3)
    if half.min(initial=1) == half.max(initial=0):
        half = np.arange(len(places)) % 2
    grows, counts = np.flatnonzero(half == 0), np.flatnonzero(half == 1)
    forest = binned.grow(
        target[grows],
        rows=places[grows],
        weight=weight[grows],
        objective="regression",
        settings=settings,
        boosting="rf",
        bagging_fraction=BAGGED_SHARE,
        bagging_freq=1,
    )
    leaves = np.asarray(forest.predict(matrix[places[counts]], pred_leaf=True, num_threads=settings.n_jobs))
    own, worth = weight[counts], weight[counts] * target[counts]
    mean = worth.sum() / max(own.sum(), 1e-9)
    for tree, shape in enumerate(forest.dump_model()["tree_info"]):
        at, size = leaves[:, tree], int(shape["num_leaves"])
        value = (np.bincount(at, weights=worth, minlength=size) + PULL_WEIGHT * mean) / (
            np.bincount(at, weights=own, minlength=size) + PULL_WEIGHT
        )
        for leaf in range(size):
            # LightGBM's raw score of a forest is the sum over its trees
            forest.set_leaf_output(tree, leaf, float(value[leaf]) / leaves.shape[1])
    return forest
