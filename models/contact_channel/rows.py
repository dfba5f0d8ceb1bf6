"""Customer-weeks as arrays, and how boosters are grown on them: what every learner and every judge needs."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from models.contact_channel.settings import ContactChannelSettings
from models.datasets import member_fold
from models.estimators import BinnedMatrix
from models.features import CUSTOMER_FEATURES

NONE = -1
"""The treatment of a week without a contact; any other is the place of the channel."""


@dataclass(frozen=True)
class ChannelRows:
    """Customer-weeks to learn from or to judge: one row each, matured, in the order of their key."""

    matrix: np.ndarray
    collectable: np.ndarray
    installment: np.ndarray
    treatment: np.ndarray
    reached: np.ndarray
    paid: np.ndarray
    paid_amount: np.ndarray
    propensity: np.ndarray
    week: np.ndarray
    member: np.ndarray

    def take(self, places: np.ndarray) -> ChannelRows:
        """The same on some of the rows."""
        return ChannelRows(**{name: getattr(self, name)[places] for name in self.__dataclass_fields__})

    def __len__(self) -> int:
        return len(self.week)


def with_channel(matrix: np.ndarray, treatment: np.ndarray) -> np.ndarray:
    """The matrix with the place of the channel as its last column; no contact is NaN."""
    column = np.where(treatment == NONE, np.nan, treatment).astype(np.float32)
    return np.concatenate([matrix, column[:, None]], axis=1)


def bin_rows(matrix: np.ndarray, settings: ContactChannelSettings, *, seed: int, channel: bool = False) -> BinnedMatrix:
    """The rows binned for growing; with ``channel`` the last column is the channel."""
    spec = settings.spec or CUSTOMER_FEATURES
    names = [*spec.feature_names, *(["channel"] if channel else [])]
    categories = [*spec.category_names, *(["channel"] if channel else [])]
    return BinnedMatrix(matrix, names, categories, tuned(settings.base, settings, seed))


def tuned(booster: Any, settings: ContactChannelSettings, seed: int, rows: int | None = None) -> Any:
    """Booster settings with the run's seed and threads, and smaller leaves for few rows."""
    least = booster.min_rows_in_leaf
    if rows is not None:
        least = int(np.clip(rows // 100, 10, least))
    return replace(booster, seed=seed, n_jobs=settings.n_jobs, min_rows_in_leaf=least)


def draw(places: np.ndarray, most: int, *, seed: int) -> np.ndarray:
    """At most ``most`` of the places, drawn without replacement and kept in order."""
    if len(places) <= most:
        return places
    return np.sort(np.random.default_rng(seed).choice(places, most, replace=False))


def thin_members(rows: ChannelRows, places: np.ndarray, most: int) -> np.ndarray:
    """The places, thinned to whole members when there are more than ``most``."""
    if len(places) <= most:
        return places
    keep = 1 + int(999 * most / len(places))
    part = member_fold(pd.Series(rows.member[places]).astype(str), 1000, salt=2)
    return places[part < keep]


def halves(rows: ChannelRows) -> list[tuple[np.ndarray, np.ndarray]]:
    """Two pairs of places (learnt from, said about): each half of the members by the other half."""
    half = member_fold(pd.Series(rows.member).astype(str), 2)
    if half.min(initial=1) == half.max(initial=0):
        everything = np.arange(len(rows))
        return [(everything, everything)]
    return [(np.flatnonzero(half != here), np.flatnonzero(half == here)) for here in (0, 1)]
