"""Training of expected recovery: rolled over held-out dates first, then grown on everything that has matured."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date

import lightgbm as lgb
import numpy as np
import pandas as pd

from models.datasets import as_dates, thinned
from models.estimators import BinnedMatrix, BoosterSettings
from models.features import check_spec, encode, learn_categories
from models.recovery.card import build_card
from models.recovery.columns import RECOVERY_FEATURES
from models.recovery.conformal import conformal_quantile, conformity, sum_spread
from models.recovery.score import Boosters, RecoveryModel, RecoveryOff, owed_amount
from models.recovery.settings import RecoverySettings
from puntual.errors import ModelError


@dataclass(frozen=True)
class RecoveryRows:
    """Matured rows as arrays, oldest first."""

    matrix: np.ndarray
    owed: np.ndarray
    paid: np.ndarray
    date: np.ndarray
    branch: np.ndarray

    def __len__(self) -> int:
        return len(self.paid)


@dataclass(frozen=True)
class HeldOut:
    """What was predicted for held-out dates by models that knew only what had matured by then.

    Attributes:
        places: rows that were held out.
        mean: expected share of what is owed.
        bounds: low and high share by confidence, before the conformal step.
        residual: paid over expected of the newest dates that the row's model had learnt from, the correction to be
            weighed.
    """

    places: np.ndarray
    mean: np.ndarray
    bounds: dict[float, tuple[np.ndarray, np.ndarray]]
    residual: np.ndarray


def train(
    rows: pd.DataFrame,
    labels: pd.DataFrame,
    *,
    as_of: date,
    settings: RecoverySettings | None = None,
    seed: int = 0,
) -> RecoveryModel | RecoveryOff:
    """Expected recovery learnt from everything that has matured by ``as_of``, or why there is none.

    Args:
        rows: of :func:`models.recovery.columns.recovery_frame`, past dates.
        labels: rows of ``label_customer__recovery``.
        as_of: the run's date; a date counts when its whole horizon ended before it.
        settings: horizon, size of the model, back-test.
        seed: seed of everything drawn.

    Raises:
        ModelError: the columns are not those of the tables, a key repeats, or a row is later than ``as_of``.
    """
    check_spec(RECOVERY_FEATURES)
    settings = settings or RecoverySettings()
    frame = labelled(rows, labels, as_of=as_of, settings=settings)
    dates = frame["as_of_date"].nunique()
    if len(frame) < settings.least_rows or dates < settings.least_dates:
        return RecoveryOff(
            f"{len(frame)} members and {dates} dates with a passed horizon of {settings.horizon_days} days; "
            f"{settings.least_rows} and {settings.least_dates} are needed"
        )
    table = frame[list(RECOVERY_FEATURES.names)]
    categories = learn_categories(RECOVERY_FEATURES, table)
    learnt = RecoveryRows(
        matrix=encode(RECOVERY_FEATURES, table, categories),
        owed=owed_amount(table),
        paid=frame["recovered_amount"].to_numpy(dtype=float),
        date=frame["as_of_date"].to_numpy(),
        branch=frame["branch_id"].astype(object).fillna("–").to_numpy(),
    )
    if learnt.paid.max() <= 0:
        return RecoveryOff("nobody paid anything within the horizon of a matured date")
    binned = BinnedMatrix(
        learnt.matrix,
        RECOVERY_FEATURES.feature_names,
        RECOVERY_FEATURES.category_names,
        replace(settings.mean, seed=seed, n_jobs=settings.n_jobs),
    )
    held = roll(learnt, binned, settings, seed=seed)
    weight = chosen_weight(learnt, held, settings)
    boosters = grow(learnt, binned, np.arange(len(learnt)), settings, seed=seed)
    level = 1.0 + weight * (recent_residual(learnt, boosters, np.arange(len(learnt)), settings) - 1.0)
    corrected = (1.0 + weight * (held.residual - 1.0)) * held.mean * learnt.owed[held.places]
    spread = sum_spread(learnt.date[held.places], learnt.paid[held.places], corrected, learnt.owed[held.places])
    model = RecoveryModel(
        trained_as_of=as_of,
        settings=settings,
        categories=categories,
        boosters=boosters,
        level=level,
        shift=conformal_quantile(
            conformity(learnt.paid[held.places] / learnt.owed[held.places], *held.bounds[settings.confidence]),
            settings.confidence,
        ),
        spread=spread,
    )
    return replace(model, card=build_card(model, learnt, held, corrected, weight))


def labelled(rows: pd.DataFrame, labels: pd.DataFrame, *, as_of: date, settings: RecoverySettings) -> pd.DataFrame:
    """Rows with their label, oldest first, of dates whose whole horizon ended before ``as_of``.

    Raises:
        ModelError: a key repeats, or a row is dated after ``as_of``.
    """
    keys = ["as_of_date", "customer_id"]
    left = RECOVERY_FEATURES.check(rows)
    left = left.assign(as_of_date=as_dates(left["as_of_date"]))
    right = labels[[*keys, "recovered_amount"]].assign(as_of_date=as_dates(labels["as_of_date"]))
    if left.duplicated(keys).any() or right.duplicated(keys).any():
        raise ModelError("recovery: a member appears twice on a date; rebuild the features.")
    if len(left) and left["as_of_date"].max() > pd.Timestamp(as_of):
        raise ModelError(f"recovery: a training row is dated after {as_of}; nothing later than it may be used.")
    joined = left.merge(right, on=keys, how="inner").sort_values(keys, kind="stable", ignore_index=True)
    whole = joined["as_of_date"] + pd.Timedelta(days=settings.horizon_days) < pd.Timestamp(as_of)
    joined = joined[whole].reset_index(drop=True)
    # Whole members and never whole dates: what a month brings differs over the year.
    return thinned(joined, settings.most_rows)


def grow(
    rows: RecoveryRows,
    binned: BinnedMatrix,
    places: np.ndarray,
    settings: RecoverySettings,
    *,
    seed: int,
) -> Boosters:
    """Mean and outer quantiles of the share of what is owed, on some of the rows.

    The mean is a Tweedie regression (nothing paid, or an amount) weighed by what is owed, so that totals are right; the
    quantiles count every member once, so that coverage is.
    """
    mean = binned.grow(
        rows.paid[places] / rows.owed[places],
        rows=places,
        objective="tweedie",
        weight=rows.owed[places] / rows.owed[places].mean(),
        settings=_sized(settings.mean, len(places), settings, seed=seed),
        tweedie_variance_power=settings.tweedie_power,
    )
    return Boosters(mean, *grow_bounds(rows, binned, places, settings, settings.confidence, seed=seed))


def grow_bounds(
    rows: RecoveryRows,
    binned: BinnedMatrix,
    places: np.ndarray,
    settings: RecoverySettings,
    confidence: float,
    *,
    seed: int,
) -> tuple[lgb.Booster, lgb.Booster]:
    """The two quantiles that leave out half of what ``confidence`` does on either side."""
    share = rows.paid[places] / rows.owed[places]
    sized = _sized(settings.quantile, len(places), settings, seed=seed)
    low, high = (
        binned.grow(share, rows=places, objective="quantile", settings=sized, alpha=level)
        for level in (0.5 - confidence / 2, 0.5 + confidence / 2)
    )
    return low, high


def _sized(booster: BoosterSettings, rows: int, settings: RecoverySettings, *, seed: int) -> BoosterSettings:
    least = int(np.clip(rows // 100, 10, booster.min_rows_in_leaf))
    return replace(booster, seed=seed, n_jobs=settings.n_jobs, min_rows_in_leaf=least)


def roll(rows: RecoveryRows, binned: BinnedMatrix, settings: RecoverySettings, *, seed: int) -> HeldOut:
    """The newest dates predicted as they would have been then: each block by a model of what had matured before it.

    Raises:
        ModelError: the horizon is longer than the history, so that nothing could be held out.
    """
    days = np.unique(rows.date)
    horizon = np.timedelta64(settings.horizon_days, "D")
    count = min(settings.backtest_dates, len(days) // 2)
    further = settings.further_confidence
    blocks: list[HeldOut] = []
    for start in range(len(days) - count, len(days), settings.backtest_block):
        block = days[start : start + settings.backtest_block]
        learn = np.flatnonzero(rows.date + horizon < block[0])
        test = np.flatnonzero(np.isin(rows.date, block))
        if len(learn) == 0 or rows.paid[learn].max() <= 0:
            continue
        boosters = grow(rows, binned, learn, settings, seed=seed)
        residual = recent_residual(rows, boosters, learn, settings)
        mean, *bounds = boosters.shares(rows.matrix[test], settings.n_jobs)
        wider = Boosters(boosters.mean, *grow_bounds(rows, binned, learn, settings, further, seed=seed))
        _, *others = wider.shares(rows.matrix[test], settings.n_jobs)
        said = {settings.confidence: (bounds[0], bounds[1]), further: (others[0], others[1])}
        blocks.append(HeldOut(test, mean, said, np.full(len(test), residual)))
    if not blocks:
        raise ModelError("recovery: no date could be held out; the horizon is longer than the history.")
    return HeldOut(
        places=np.concatenate([block.places for block in blocks]),
        mean=np.concatenate([block.mean for block in blocks]),
        bounds={
            confidence: (
                np.concatenate([block.bounds[confidence][0] for block in blocks]),
                np.concatenate([block.bounds[confidence][1] for block in blocks]),
            )
            for confidence in (settings.confidence, further)
        },
        residual=np.concatenate([block.residual for block in blocks]),
    )


def recent_residual(rows: RecoveryRows, boosters: Boosters, learnt: np.ndarray, settings: RecoverySettings) -> float:
    """Paid over expected on the newest dates that the model learnt from: it knows no dates, so the level shows."""
    days = np.unique(rows.date[learnt])[-settings.correction_dates :]
    newest = learnt[np.isin(rows.date[learnt], days)]
    mean, _, _ = boosters.shares(rows.matrix[newest], settings.n_jobs)
    return float(rows.paid[newest].sum() / max((mean * rows.owed[newest]).sum(), 1e-9))


def chosen_weight(rows: RecoveryRows, held: HeldOut, settings: RecoverySettings) -> float:
    """The share of the recent residual with the smallest squared relative error of the held-out totals; ties: less."""
    days, place = np.unique(rows.date[held.places], return_inverse=True)
    seen = np.bincount(place, weights=rows.paid[held.places])
    errors: list[tuple[float, float]] = []
    for weight in sorted(settings.correction_weights):
        mean = (1.0 + weight * (held.residual - 1.0)) * held.mean * rows.owed[held.places]
        expected = np.bincount(place, weights=mean, minlength=len(days))
        errors.append((round(float(((expected / np.maximum(seen, 1e-9) - 1) ** 2).mean()), 12), weight))
    return min(errors)[1]
