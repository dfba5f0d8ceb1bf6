"""The learners of the channel model: from rows to the gain of every channel.

Every learner ends in the same shape (:class:`ChannelFit`), so that plans, scores and files do not care which one it is.
Two learn the change of the log odds of paying on top of a base (through reach, by the attempt), one for each channel
keeps a single constant, five learn the change of the probability directly (S, T, X, R, DR), and the last knows only
one number per channel.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import lightgbm as lgb
import numpy as np
from scipy.special import expit

from models.contact_channel.nuisance import CrossFit, cross_fit
from models.contact_channel.rows import (
    NONE,
    ChannelRows,
    bin_rows,
    draw,
    tuned,
    with_channel,
)
from models.contact_channel.settings import ContactChannelSettings
from models.estimators import BinnedMatrix, raw_score

CONSTANT_PULL = 20.0
"""A constant effect is drawn to 0 as if this much weight of rows had shown none."""
THROUGH_REACH, INTENTION_TO_TREAT, CONSTANT = "effect_through_reach", "intention_to_treat", "constant_effect"
S_LEARNER, T_LEARNER, X_LEARNER = "s_learner", "t_learner", "x_learner"
R_LEARNER, DR_LEARNER, BEST_ARM = "r_learner", "dr_learner", "best_arm"
CANDIDATES = (
    THROUGH_REACH,
    INTENTION_TO_TREAT,
    X_LEARNER,
    S_LEARNER,
    R_LEARNER,
    DR_LEARNER,
    T_LEARNER,
    CONSTANT,
)
"""Learners that compete, in the order of trust; :data:`BEST_ARM` is the floor below them."""
BY_PSEUDO_OUTCOME = (X_LEARNER, R_LEARNER, DR_LEARNER)


@dataclass(frozen=True)
class Gains:
    """What a fit says about rows; the arrays with two axes have one column per channel.

    ``untouched`` is the probability that the learner itself sets its change against (by the S-learner its own).
    """

    pay_probability: np.ndarray
    amount: np.ndarray
    reach: np.ndarray
    gain: np.ndarray
    constant_gain: np.ndarray
    untouched: np.ndarray


@dataclass(frozen=True)
class ChannelFit:
    """A fitted learner: gain = change of the probability of paying x expected amount if paying x scale.

    ``constants`` has the channels that the learner knows, with one number each: a shift of the log odds for the
    learners by odds, a change of the probability for the others, money per contact for the best arm.
    ``effect_all`` and ``effect_one`` hold what is added to the constant (by odds), the responses (S, T), or the change
    of the probability itself (X, R, DR). ``scale`` is what held-out weeks say of each channel's claims (1 = they held).
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
        base = self._score(self.base, matrix)
        alone = expit(base)
        amount = np.exp(self._score(self.amount, matrix) + amount_offset(collectable, installment, self.amount_level))
        shape = (len(matrix), len(self.channels))
        reach, gain, constant_gain = np.zeros(shape), np.zeros(shape), np.zeros(shape)
        wide = with_channel(matrix, np.full(len(matrix), NONE))
        untouched = expit(self._score(self.effect_all, wide)) if self.learner == S_LEARNER else alone
        for place, channel in enumerate(self.channels):
            if channel not in self.constants:
                continue
            wide[:, -1] = place
            reach[:, place] = expit(self._score(self.reach[channel], wide)) if channel in self.reach else 1.0
            change, constant_change = self._changes(channel, wide, base, untouched)
            money = np.ones(len(matrix)) if self.learner == BEST_ARM else amount * reach[:, place]
            money = money * self.scale.get(channel, 1.0)
            gain[:, place], constant_gain[:, place] = money * change, money * constant_change
        return Gains(alone, amount, reach, gain, constant_gain, untouched)

    def _changes(
        self, channel: str, wide: np.ndarray, base: np.ndarray, untouched: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Change of the probability of paying (of those reached, by odds) by row, and by the channel's constant."""
        constant = self.constants[channel]
        same = np.full(len(wide), constant)
        if self.learner in (CONSTANT, THROUGH_REACH, INTENTION_TO_TREAT):
            boosted = [b for b in (self.effect_all, self.effect_one.get(channel)) if b is not None]
            effect = constant + sum(self._score(b, wide) for b in boosted) / max(len(boosted), 1)
            return expit(base + effect) - untouched, expit(base + constant) - untouched
        if self.learner == S_LEARNER:
            return expit(self._score(self.effect_all, wide)) - untouched, same
        if self.learner == T_LEARNER:
            return expit(self._score(self.effect_one[channel], wide)) - untouched, same
        if self.learner == BEST_ARM:
            return same, same
        return self._score(self.effect_one[channel], wide), same

    def _score(self, booster: lgb.Booster | None, matrix: np.ndarray) -> np.ndarray:
        if booster is None:
            return np.zeros(len(matrix))
        return raw_score(booster, matrix[:, : booster.num_feature()], n_jobs=self.n_jobs)

    def only_constants(self) -> ChannelFit:
        """The same fit with one constant effect per channel."""
        return replace(self, learner=CONSTANT, effect_all=None, effect_one={})


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
    cross: CrossFit | None = None,
) -> ChannelFit:
    """A learner fitted on rows that ``binned`` holds in the same order.

    ``cross`` is what the learners by pseudo-outcome rest on; made here when it is not given.
    """
    if learner in (THROUGH_REACH, INTENTION_TO_TREAT):
        return _by_odds(learner, rows, binned, channels, settings, amount=amount, seed=seed)
    if learner == CONSTANT:
        fit = _by_odds(THROUGH_REACH, rows, binned, channels, settings, amount=amount, seed=seed)
        return fit.only_constants()
    return _by_difference(learner, rows, binned, channels, settings, amount=amount, seed=seed, cross=cross)


def _by_odds(
    learner: str,
    rows: ChannelRows,
    binned: BinnedMatrix,
    channels: Sequence[str],
    settings: ContactChannelSettings,
    *,
    amount: tuple[lgb.Booster, float],
    seed: int,
) -> ChannelFit:
    """A learner of the change of the log odds.

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


def _by_difference(
    learner: str,
    rows: ChannelRows,
    binned: BinnedMatrix,
    channels: Sequence[str],
    settings: ContactChannelSettings,
    *,
    amount: tuple[lgb.Booster, float],
    seed: int,
    cross: CrossFit | None,
) -> ChannelFit:
    """A learner of the change of the probability of paying by the attempt, reached or not.

    S: one response model with the channel as a feature. T: one response model per channel. X, R, DR: one regression
    per channel on a pseudo-outcome made of responses and propensities of the other half of the members.
    """
    cross = cross or cross_fit(rows, binned, channels, settings, seed=seed)
    places = cross.places
    pseudo = cross.pseudo_outcomes(rows, settings.weight_clip)
    money = np.exp(
        raw_score(amount[0], rows.matrix[places], n_jobs=settings.n_jobs)
        + amount_offset(rows.collectable[places], rows.installment[places], amount[1])
    )
    constants: dict[str, float] = {}
    effect_all: lgb.Booster | None = None
    effect_one: dict[str, lgb.Booster] = {}
    if learner == S_LEARNER:
        effect_all = fit_response(rows, settings, seed=seed)
    for place, channel in enumerate(channels):
        tried = np.flatnonzero(rows.treatment == place)
        if not cross.known[place] or len(tried) < settings.least_attempts:
            continue
        constants[channel] = float(
            (pseudo[:, place] * money).mean() if learner == BEST_ARM else np.average(pseudo[:, place], weights=money)
        )
        if learner == T_LEARNER:
            some = draw(tried, settings.booster_rows, seed=seed)
            effect_one[channel] = binned.grow(
                rows.paid[some], rows=some, settings=tuned(settings.reach, settings, seed, len(some))
            )
        elif learner in BY_PSEUDO_OUTCOME:
            target, weight = cross.regression(learner, rows, place, pseudo)
            used = np.flatnonzero(weight > 0)
            effect_one[channel] = binned.grow(
                target[used],
                rows=places[used],
                weight=weight[used],
                objective="regression",
                settings=tuned(settings.difference, settings, seed, len(used)),
            )
    return ChannelFit(
        learner=learner,
        channels=tuple(channels),
        base=cross.base,
        amount=amount[0],
        amount_level=amount[1],
        constants=constants,
        reach={},
        effect_all=effect_all,
        effect_one=effect_one,
        n_jobs=settings.n_jobs,
    )


def fit_response(rows: ChannelRows, settings: ContactChannelSettings, *, seed: int) -> lgb.Booster:
    """One model of paying with the channel as a feature: the S-learner, and the mean outcomes of the judge."""
    some = draw(np.arange(len(rows)), settings.booster_rows, seed=seed)
    part = rows.take(some)
    binned = bin_rows(with_channel(part.matrix, part.treatment), settings, seed=seed, channel=True)
    return binned.grow(part.paid, settings=tuned(settings.base, settings, seed, len(some)))
