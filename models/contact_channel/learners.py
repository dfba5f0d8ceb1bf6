"""The pieces of the channel model: paying when left alone, being reached, the effect on the odds, the amount.

Every learner ends in the same shape (:class:`ChannelFit`), so that plans, scores and files do not care which one it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import lightgbm as lgb
import numpy as np
from scipy.special import expit

from models.contact_channel.settings import ContactChannelSettings
from models.estimators import BinnedMatrix, raw_score
from models.features import CUSTOMER_FEATURES

NONE = -1
CONSTANT_PULL = 20.0
"""A constant effect is drawn to 0 as if this much weight of rows had shown none."""
THROUGH_REACH, INTENTION_TO_TREAT, CONSTANT = "effect_through_reach", "intention_to_treat", "constant_effect"


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


@dataclass(frozen=True)
class Gains:
    """What a fit says about rows; the arrays with two axes have one column per channel."""

    pay_probability: np.ndarray
    amount: np.ndarray
    reach: np.ndarray
    gain: np.ndarray
    constant_gain: np.ndarray


@dataclass(frozen=True)
class ChannelFit:
    """A fitted learner: gain = reach x change of the probability of paying x expected amount if paying x scale.

    ``scale`` is what held-out weeks say of each channel's claims (1 = they held).
    """

    learner: str
    channels: tuple[str, ...]
    base: lgb.Booster
    amount: lgb.Booster
    amount_level: float
    constants: dict[str, float]
    reach: dict[str, lgb.Booster]
    effect_all: lgb.Booster | None
    effect_one: dict[str, lgb.Booster]
    scale: dict[str, float] = field(default_factory=dict)
    n_jobs: int = 2

    def gains(self, matrix: np.ndarray, collectable: np.ndarray, installment: np.ndarray) -> Gains:
        """Reach, probability when left alone, amount and gain; a channel without a constant gains 0."""
        base = raw_score(self.base, matrix, n_jobs=self.n_jobs)
        alone = expit(base)
        amount = np.exp(
            raw_score(self.amount, matrix, n_jobs=self.n_jobs)
            + amount_offset(collectable, installment, self.amount_level)
        )
        shape = (len(matrix), len(self.channels))
        reach, gain, constant_gain = np.zeros(shape), np.zeros(shape), np.zeros(shape)
        wide = with_channel(matrix, np.zeros(len(matrix)))
        for place, channel in enumerate(self.channels):
            if channel not in self.constants:
                continue
            wide[:, -1] = place
            if self.learner == INTENTION_TO_TREAT:
                reach[:, place] = 1.0
            elif channel in self.reach:
                reach[:, place] = expit(raw_score(self.reach[channel], wide, n_jobs=self.n_jobs))
            constant = self.constants[channel]
            boosted = [b for b in (self.effect_all, self.effect_one.get(channel)) if b is not None]
            effect = constant + sum(raw_score(b, wide, n_jobs=self.n_jobs) for b in boosted) / max(len(boosted), 1)
            money = amount * reach[:, place] * self.scale.get(channel, 1.0)
            gain[:, place] = money * (expit(base + effect) - alone)
            constant_gain[:, place] = money * (expit(base + constant) - alone)
        return Gains(alone, amount, reach, gain, constant_gain)

    def only_constants(self) -> ChannelFit:
        """The same fit with one constant effect per channel."""
        return replace(self, learner=CONSTANT, effect_all=None, effect_one={})


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


def amount_offset(collectable: np.ndarray, installment: np.ndarray, level: float) -> np.ndarray:
    """Log of one instalment (or of what is collectable, if that is less) plus the general level."""
    scale = np.fmin(collectable, np.where(installment > 0, installment, np.inf))
    return np.log(np.maximum(scale, 0.01)) + level


def fit_amount(
    rows: ChannelRows, binned: BinnedMatrix, settings: ContactChannelSettings, *, seed: int
) -> tuple[lgb.Booster, float]:
    """Expected amount if something is paid, as a factor on :func:`amount_offset`; right on the sum of money."""
    paid = draw(np.flatnonzero(rows.paid_amount > 0), settings.booster_rows, seed=seed)
    money, scale = rows.paid_amount[paid], np.exp(amount_offset(rows.collectable[paid], rows.installment[paid], 0.0))
    level = float(np.log(money.sum() / scale.sum()))
    mean = money.mean()
    booster = binned.grow(
        money / mean,
        rows=paid,
        objective="poisson",
        offset=np.log(scale / mean) + level,
        settings=tuned(settings.amount, settings, seed, len(paid)),
        poisson_max_delta_step=0.3,
    )
    return booster, level


def constant_effect(offset: np.ndarray, paid: np.ndarray, *, pull: float = CONSTANT_PULL, steps: int = 30) -> float:
    """The one shift of the log odds that fits best, drawn to 0.

    >>> constant_effect(np.zeros(1000), np.r_[np.ones(600), np.zeros(400)], pull=0.0).__round__(4)
    0.4055
    """
    shift = 0.0
    for _ in range(steps):
        probability = expit(offset + shift)
        step = ((paid - probability).sum() - pull * shift) / ((probability * (1 - probability)).sum() + pull)
        shift += float(np.clip(step, -1.0, 1.0))
        if abs(step) < 1e-9:
            break
    return shift


def fit_learner(
    learner: str,
    rows: ChannelRows,
    binned: BinnedMatrix,
    channels: Sequence[str],
    settings: ContactChannelSettings,
    *,
    amount: tuple[lgb.Booster, float],
    seed: int,
) -> ChannelFit:
    """A learner fitted on rows that ``binned`` holds in the same order.

    ``effect_through_reach``: nobody reached, nothing changed. The base is learnt on everyone not reached, the effect on
    those reached, on top of the base's log odds. ``intention_to_treat``: the base is learnt on those not contacted, the
    effect on those contacted, reached or not. In both, the effect starts from one constant per channel, and the mean of
    one model for all channels and one for each is added to it.
    """
    through_reach = learner != INTENTION_TO_TREAT
    contacted = rows.treatment != NONE
    moved = contacted & rows.reached if through_reach else contacted
    still = draw(np.flatnonzero(~moved if through_reach else ~contacted), settings.booster_rows, seed=seed)
    base = binned.grow(rows.paid[still], rows=still, settings=tuned(settings.base, settings, seed, len(still)))

    tried = rows.take(np.flatnonzero(contacted))
    wide = bin_rows(with_channel(tried.matrix, tried.treatment), settings, seed=seed, channel=True)
    changed = tried.reached if through_reach else np.ones(len(tried), dtype=bool)
    offset = raw_score(base, tried.matrix, n_jobs=settings.n_jobs)
    constants: dict[str, float] = {}
    reach: dict[str, lgb.Booster] = {}
    shift = np.zeros(len(tried))
    for place, channel in enumerate(channels):
        mine = np.flatnonzero(tried.treatment == place)
        hit = mine[changed[mine]]
        if len(mine) < settings.least_attempts or len(hit) < settings.least_reached:
            continue
        constants[channel] = constant_effect(offset[hit], tried.paid[hit])
        shift[mine] = constants[channel]
        if through_reach:
            some = draw(mine, settings.booster_rows // 2, seed=seed)
            reach[channel] = wide.grow(
                tried.reached[some], rows=some, settings=tuned(settings.reach, settings, seed, len(some))
            )
    known = np.isin(tried.treatment, [channels.index(channel) for channel in constants])
    used = np.flatnonzero(changed & known)
    effect_all = None
    effect_one: dict[str, lgb.Booster] = {}
    if constants:
        effect_all = wide.grow(
            tried.paid[used],
            rows=used,
            offset=(offset + shift)[used],
            settings=tuned(settings.effect, settings, seed, len(used)),
        )
    for channel in constants:
        mine = np.flatnonzero((tried.treatment == channels.index(channel)) & changed)
        effect_one[channel] = wide.grow(
            tried.paid[mine],
            rows=mine,
            offset=(offset + shift)[mine],
            settings=tuned(settings.effect, settings, seed, len(mine)),
        )
    return ChannelFit(
        learner=learner,
        channels=tuple(channels),
        base=base,
        amount=amount[0],
        amount_level=amount[1],
        constants=constants,
        reach=reach,
        effect_all=effect_all,
        effect_one=effect_one,
        n_jobs=settings.n_jobs,
    )


def fit_propensity(
    rows: ChannelRows,
    binned: BinnedMatrix,
    places: np.ndarray,
    class_count: int,
    settings: ContactChannelSettings,
    *,
    seed: int,
) -> lgb.Booster:
    """Probability of each channel (class 0 = no contact, then the channels) as the past chose them."""
    return binned.grow(
        rows.treatment[places] + 1,
        rows=places,
        objective="multiclass",
        num_class=class_count,
        settings=tuned(settings.propensity, settings, seed, len(places)),
    )
