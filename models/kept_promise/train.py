"""Training of kept promises: settled ones only, calibrated on people that the trees did not see."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date
from typing import Any

import numpy as np
import pandas as pd

from models.calibration import choose_calibration
from models.datasets import as_dates, member_fold
from models.estimators import BinnedMatrix, BoosterSettings, raw_score
from models.features import check_spec, encode, learn_categories
from models.kept_promise.card import build_card
from models.kept_promise.columns import PROMISE_FEATURES
from models.kept_promise.score import KeptPromiseModel
from models.kept_promise.settings import KeptPromiseSettings
from puntual.errors import ModelError


@dataclass(frozen=True)
class PromiseRows:
    """Looks at settled promises, in the order of date and promise, with what became of them."""

    table: pd.DataFrame
    kept: np.ndarray
    settled_on: np.ndarray

    def take(self, places: np.ndarray) -> PromiseRows:
        """The same on some of the rows."""
        table = self.table.iloc[places].reset_index(drop=True)
        return PromiseRows(table, self.kept[places], self.settled_on[places])


def train(
    features: pd.DataFrame,
    labels: pd.DataFrame,
    *,
    as_of: date,
    settings: KeptPromiseSettings | None = None,
    seed: int = 0,
) -> KeptPromiseModel:
    """The model trained on every promise that was settled before ``as_of``, with a card that says how good it is.

    Args:
        features: rows of ``feat_promise__as_of``; those without ``is_score`` are used.
        labels: rows of ``label_promise__kept``.
        as_of: the run's date; a promise counts when its last grace day lies before it.
        settings: size of the model and the rule for doing without trees.
        seed: seed of everything drawn.

    Trees that were worse on later promises than the member's own record (Brier) give way to that record.

    Raises:
        ModelError: the columns are not those of the tables, a key repeats, or a row is later than ``as_of``.
    """
    check_spec(PROMISE_FEATURES)
    settings = settings or KeptPromiseSettings()
    rows = promise_rows(features, labels, as_of=as_of)
    model = fit(rows, as_of=as_of, settings=settings, seed=seed)
    card = build_card(model, rows, judge=fit, seed=seed)
    found = card["evaluation"].get("metrics", {})
    if (
        model.booster is not None
        and found
        and found["puntual"]["brier"]["value"] > found["member_rate"]["brier"]["value"]
    ):
        model = replace(model, booster=None, calibration=None)
        card = build_card(model, rows, judge=fit, seed=seed)
    return replace(model, card=card)


def promise_rows(features: pd.DataFrame, labels: pd.DataFrame, *, as_of: date) -> PromiseRows:
    """The training rows with their labels.

    Raises:
        ModelError: a key repeats, or a row is dated on or after the day on which its promise was settled.
    """
    table = PROMISE_FEATURES.check(features)
    table = table[~table["is_score"].to_numpy(dtype=bool)]
    table = table.assign(as_of_date=as_dates(table["as_of_date"]))
    if table.duplicated(["as_of_date", "promise_id"]).any() or labels.duplicated(["promise_id"]).any():
        raise ModelError("kept_promise: a promise appears twice on a date, or has two labels; rebuild the features.")
    known = labels[["promise_id", "grace_end_date", "is_kept"]]
    known = known.assign(grace_end_date=as_dates(known["grace_end_date"]))
    known = known[known["grace_end_date"] < pd.Timestamp(as_of)]
    joined = table.merge(known, on="promise_id", how="inner").sort_values(
        ["as_of_date", "promise_id"], kind="stable", ignore_index=True
    )
    if (joined["as_of_date"] >= joined["grace_end_date"]).any():
        raise ModelError(
            "kept_promise: a training row is dated on or after its promise's last grace day; rebuild the features."
        )
    return PromiseRows(
        table=joined[list(PROMISE_FEATURES.names)],
        kept=joined["is_kept"].to_numpy(dtype=float),
        settled_on=joined["grace_end_date"].to_numpy(),
    )


def fit(rows: PromiseRows, *, as_of: date, settings: KeptPromiseSettings, seed: int) -> KeptPromiseModel:
    """The best kind of model that the rows can carry, without a card.

    1. Two boosters, each on half of the members, score the other half on the newest third of the rows in time.
    2. The calibration is chosen on the later half of their dates by people whom it did not see, and fitted on them all.
    3. The trees are grown again on everything.
    """
    promises = rows.table["promise_id"].to_numpy()
    per_promise = pd.Series(rows.kept).groupby(promises).first()
    kept, settled = float(per_promise.sum()), len(per_promise)
    # Of the looks and not of the promises: what is scored is a promise that is still open.
    rate = (float(rows.kept.sum()) + 0.5 * settings.prior_weight) / (len(rows.kept) + settings.prior_weight)
    plain = KeptPromiseModel(as_of, settings, {name: [] for name in PROMISE_FEATURES.category_names}, rate)
    if settled < settings.least_promises or min(kept, settled - kept) < settings.least_of_each:
        return plain
    if len(rows.kept) > settings.most_rows:
        rows = rows.take(np.arange(len(rows.kept) - settings.most_rows, len(rows.kept)))
    categories = learn_categories(PROMISE_FEATURES, rows.table)
    matrix = encode(PROMISE_FEATURES, rows.table, categories)
    booster = replace(settings.booster, seed=seed, n_jobs=settings.n_jobs)
    binned = BinnedMatrix(matrix, PROMISE_FEATURES.feature_names, PROMISE_FEATURES.category_names, booster)
    grown: dict[str, Any] = {"monotone": PROMISE_FEATURES.monotone, "settings": _sized(booster, len(rows.kept))}
    fold = member_fold(rows.table["customer_id"], 2)
    recent = np.arange(len(rows.kept)) >= round(len(rows.kept) * (1 - settings.calibration_share))
    score = np.full(len(rows.kept), np.nan)
    for half in (0, 1):
        learn, judge = np.flatnonzero(fold != half), np.flatnonzero((fold == half) & recent)
        if len(judge) and len(learn) and 0 < rows.kept[learn].mean() < 1:
            trees = binned.grow(rows.kept[learn], rows=learn, **grown)
            score[judge] = raw_score(trees, matrix[judge], n_jobs=settings.n_jobs)
    here = np.flatnonzero(~np.isnan(score))
    if not len(here):
        return plain
    judged = rows.table.iloc[here]
    calibration, _ = choose_calibration(
        score[here],
        rows.kept[here],
        member_fold(judged["customer_id"], 5, salt=2),
        dates=judged["as_of_date"].to_numpy(),
    )
    everything = np.arange(len(rows.kept))
    return replace(
        plain,
        categories=categories,
        booster=binned.grow(rows.kept, rows=everything, **grown),
        calibration=calibration,
    )


def _sized(booster: BoosterSettings, rows: int) -> BoosterSettings:
    return replace(booster, min_rows_in_leaf=int(np.clip(rows // 100, 10, booster.min_rows_in_leaf)))
