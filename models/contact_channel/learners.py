"""The learners of the channel model: from rows to the gain of every channel.

Every learner ends in the same shape (:class:`ChannelFit`), so that plans, scores and files do not care which one it is.
Two learn the change of the log odds of paying on top of a base (through reach, by the attempt), one for each channel
keeps a single constant, six learn the change of the probability directly (S, T, X, R, DR, a causal forest), one tells a
few segments apart (a policy tree), and the last knows only one number per channel.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace

import lightgbm as lgb
import numpy as np
from scipy.special import expit

from models.contact_channel.amounts import AmountModel
from models.contact_channel.forest import honest_forest
from models.contact_channel.nuisance import CrossFit, cross_fit
from models.contact_channel.outline import EffectOutline, fit_outline
from models.contact_channel.policy_tree import PolicyTree, grow_policy_tree
from models.contact_channel.rows import (
    NONE,
    ChannelRows,
    bin_rows,
    draw,
    tuned,
    with_channel,
)
from models.contact_channel.settings import (
    BEST_ARM,
    CAUSAL_FOREST,
    CONSTANT,
    DR_LEARNER,
    INTENTION_TO_TREAT,
    POLICY_TREE,
    R_LEARNER,
    S_LEARNER,
    T_LEARNER,
    THROUGH_REACH,
    X_LEARNER,
    ContactChannelSettings,
)
from models.contact_channel.times import fit_times
from models.estimators import BinnedMatrix, BinnedPart, raw_score
from models.features import CHANNEL_POINTS, CONTACT_CHANNELS, CUSTOMER_FEATURES

OUTLINE_SHARE = 0.5
"""Of the outline in an effect by odds; the trees have the rest. On worlds of three laws the mean beat either."""
LEAST_WITHOUT_POINT, LESS_REACHED = 50, 0.5
"""Attempts on members without a contact point that may refute the list of points, and the share of the usual reach."""
CONSTANT_PULL = 20.0
"""A constant effect is drawn to 0 as if this much weight of rows had shown none."""
BY_PSEUDO_OUTCOME = (X_LEARNER, R_LEARNER, DR_LEARNER)
IN_MONEY = (BEST_ARM, POLICY_TREE)
"""Learners whose number is money per contact, and not a change of the probability of paying."""


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

    def told_by(self, part: float) -> np.ndarray:
        """The gains with ``part`` of their differences from the gain by one number per channel; it may be above 1."""
        return np.asarray(self.constant_gain + part * (self.gain - self.constant_gain))


@dataclass(frozen=True)
class ChannelFit:
    """A fitted learner: gain = change of the probability of paying x expected amount if paying x scale.

    ``constants`` has the channels that the learner knows, with one number each: a shift of the log odds for the
    learners by odds, a change of the probability for the others, money per contact for the best arm.
    ``effect_all`` and ``effect_one`` hold what is added to the constant (by odds), the responses (S, T), or the change
    of the probability itself (X, R, DR). ``scale`` is what held-out weeks say of each channel's claims (1 = they held),
    and ``told_apart`` of the differences between members (1 = they held, 0 = the channel's one number for everybody,
    more than 1 = members differ by more than was learnt).
    ``level``: by how much more or less was paid at the end of what was learnt from, in log odds (learners by odds).
    """

    learner: str
    channels: tuple[str, ...]
    base: lgb.Booster
    amount: AmountModel
    constants: dict[str, float]
    reach: dict[str, lgb.Booster]
    effect_all: lgb.Booster | None
    effect_one: dict[str, lgb.Booster]
    scale: dict[str, float] = field(default_factory=dict)
    n_jobs: int = 2
    outline: EffectOutline | None = None
    points: dict[str, tuple[int, ...]] = field(default_factory=dict)
    tree: PolicyTree | None = None
    level: float = 0.0
    told_apart: float = 1.0

    def gains(self, matrix: np.ndarray, collectable: np.ndarray, installment: np.ndarray) -> Gains:
        """Reach, probability when left alone, amount and gain; a channel without a constant gains 0."""
        base = self.log_odds_alone(matrix)
        alone = expit(base)
        amount = self.amount.expected(matrix, collectable, installment, n_jobs=self.n_jobs)
        shape = (len(matrix), len(self.channels))
        reach, gain, constant_gain = np.zeros(shape), np.zeros(shape), np.zeros(shape)
        # only a booster of all channels reads which channel is meant
        wide = matrix if self.effect_all is None else with_channel(matrix, np.full(len(matrix), NONE))
        untouched = expit(self._score(self.effect_all, wide)) if self.learner == S_LEARNER else alone
        for place, channel in enumerate(self.channels):
            if channel not in self.constants:
                continue
            if self.effect_all is not None:
                wide[:, -1] = place
            reach[:, place] = expit(self._score(self.reach[channel], matrix)) if channel in self.reach else 1.0
            change, constant_change = self._changes(channel, matrix, wide, base, untouched)
            money = np.ones(len(matrix)) if self.learner in IN_MONEY else amount * reach[:, place]
            money = money * self.scale.get(channel, 1.0) * self._reachable(channel, matrix)
            reach[:, place] *= self._reachable(channel, matrix)
            gain[:, place], constant_gain[:, place] = money * change, money * constant_change
        found = Gains(alone, amount, reach, gain, constant_gain, untouched)
        if self.told_apart == 1.0:
            return found
        # differences believed more than they were learnt must not leave what is possible
        most, least = (1.0 - alone)[:, None] * amount[:, None], -alone[:, None] * amount[:, None]
        return replace(found, gain=np.clip(found.told_by(self.told_apart), least, most))

    def log_odds_alone(self, matrix: np.ndarray) -> np.ndarray:
        """Log odds of paying when left alone, at the level of the newest weeks that were learnt from."""
        return self._score(self.base, matrix) + self.level

    def _changes(
        self, channel: str, matrix: np.ndarray, wide: np.ndarray, base: np.ndarray, untouched: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Change of the probability of paying (of those reached, by odds) by row, and by the channel's constant."""
        constant = self.constants[channel]
        same = np.full(len(matrix), constant)
        if self.learner in (CONSTANT, THROUGH_REACH, INTENTION_TO_TREAT):
            grown = ((self.effect_all, wide), (self.effect_one.get(channel), matrix))
            boosted = [self._score(booster, given) for booster, given in grown if booster is not None]
            effect = constant + sum(boosted, np.zeros(len(matrix))) / max(len(boosted), 1)
            if self.outline is not None:
                outlined = self.outline.effect(matrix, base, self.channels.index(channel))
                effect = (1 - OUTLINE_SHARE) * effect + OUTLINE_SHARE * outlined
            return expit(base + effect) - untouched, expit(base + constant) - untouched
        if self.learner == S_LEARNER:
            return expit(self._score(self.effect_all, wide)) - untouched, same
        if self.learner == T_LEARNER:
            return expit(self._score(self.effect_one[channel], matrix)) - untouched, same
        if self.learner == BEST_ARM:
            return same, same
        if self.tree is not None:
            return self.tree.gains(matrix)[:, self.channels.index(channel)], same
        return self._score(self.effect_one[channel], matrix), same

    def _reachable(self, channel: str, matrix: np.ndarray) -> np.ndarray:
        """1 where the member has a contact point that the channel needs, else 0."""
        places = self.points.get(channel)
        if not places:
            return np.ones(len(matrix))
        return _has_any(matrix, np.arange(len(matrix)), places).astype(float)

    def _score(self, booster: lgb.Booster | None, matrix: np.ndarray) -> np.ndarray:
        if booster is None:
            return np.zeros(len(matrix))
        return raw_score(booster, matrix, n_jobs=self.n_jobs)

    def only_constants(self) -> ChannelFit:
        """The same fit with one constant effect per channel."""
        return replace(self, learner=CONSTANT, effect_all=None, effect_one={}, outline=None)


def contact_points(
    rows: ChannelRows, channels: Sequence[str], settings: ContactChannelSettings
) -> dict[str, tuple[int, ...]]:
    """By channel, the places of the columns of which one must be true for it to reach the member.

    Only for the columns of the feature table, and not where the past refutes them: an institution that does not hand
    over its contact points reaches people all the same.
    """
    if settings.spec is not None:
        return {}
    names, found = CUSTOMER_FEATURES.feature_names, {}
    for place, channel in enumerate(channels):
        places = tuple(names.index(name) for name in CHANNEL_POINTS.get(channel, ()))
        tried = np.flatnonzero(rows.treatment == place)
        if not places or not len(tried):
            continue
        has = _has_any(rows.matrix, tried, places)
        reached = rows.reached[tried]
        if (~has).sum() >= LEAST_WITHOUT_POINT and reached[~has].mean() > LESS_REACHED * reached.mean():
            continue
        found[channel] = places
    return found


def _has_any(matrix: np.ndarray, rows: np.ndarray, columns: Sequence[int]) -> np.ndarray:
    """Whether one of the columns is true, for the rows at these places."""
    return np.asarray(np.any([matrix[rows, column] == 1 for column in columns], axis=0))


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
    binned: BinnedMatrix | BinnedPart,
    channels: Sequence[str],
    settings: ContactChannelSettings,
    *,
    amount: AmountModel,
    seed: int,
    cross: CrossFit | None = None,
    by_attempt: Collection[str] = (),
) -> ChannelFit:
    """A learner fitted on rows that ``binned`` holds in the same order.

    ``cross`` is what the learners by pseudo-outcome rest on; made here when it is not given. ``by_attempt``: channels
    whose effect is learnt of the attempt also where it is split through reach.
    """
    if learner in (THROUGH_REACH, CONSTANT):
        fit = _by_odds(THROUGH_REACH, rows, binned, channels, settings, amount=amount, seed=seed, unsplit=by_attempt)
        return fit if learner == THROUGH_REACH else fit.only_constants()
    if learner == INTENTION_TO_TREAT:
        return _by_odds(learner, rows, binned, channels, settings, amount=amount, seed=seed, unsplit=channels)
    return _by_difference(learner, rows, binned, channels, settings, amount=amount, seed=seed, cross=cross)


def _by_odds(
    learner: str,
    rows: ChannelRows,
    binned: BinnedMatrix | BinnedPart,
    channels: Sequence[str],
    settings: ContactChannelSettings,
    *,
    amount: AmountModel,
    seed: int,
    unsplit: Collection[str],
) -> ChannelFit:
    """A learner of the change of the log odds.

    ``effect_through_reach``: nobody reached, nothing changed. The base is learnt on everyone not reached, the effect on
    those reached, on top of the base's log odds. ``intention_to_treat``: the base is learnt on those not contacted, the
    effect on those contacted, reached or not. In both, the effect starts from one constant per channel, and the mean of
    one model for all channels and one for each is added to it. ``unsplit``: the channels of which the attempt counts.
    """
    contacted = rows.treatment != NONE
    attempt = np.isin(rows.treatment, [channels.index(channel) for channel in unsplit])
    moved = contacted & (rows.reached | attempt)
    still = draw(np.flatnonzero(~moved), settings.booster_rows, seed=seed)
    base = binned.grow(rows.paid[still], rows=still, settings=tuned(settings.base, settings, seed, len(still)))
    followed = draw(np.flatnonzero(~moved), settings.claim_rows, seed=seed)
    times = fit_times(
        rows.week[followed],
        raw_score(base, rows.matrix[followed], n_jobs=settings.n_jobs),
        rows.paid[followed],
    )

    places = np.flatnonzero(contacted)
    tried = rows.take(places)
    changed = moved[places]
    offset = raw_score(base, tried.matrix, n_jobs=settings.n_jobs) + times.of(tried.week)
    points = contact_points(rows, channels, settings)
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
        if channel not in unsplit:
            with_point = mine
            if channel in points:
                with_point = mine[_has_any(tried.matrix, mine, points[channel])]
            some = draw(with_point, settings.booster_rows // 2, seed=seed)
            reach[channel] = binned.grow(
                tried.reached[some], rows=places[some], settings=tuned(settings.reach, settings, seed, len(some))
            )
    known = np.isin(tried.treatment, [channels.index(channel) for channel in constants])
    used = np.flatnonzero(changed & known)
    effect_all = None
    effect_one: dict[str, lgb.Booster] = {}
    if constants:
        wide = bin_rows(with_channel(tried.matrix[used], tried.treatment[used]), settings, seed=seed, channel=True)
        effect_all = wide.grow(
            tried.paid[used],
            offset=(offset + shift)[used],
            settings=tuned(settings.effect, settings, seed, len(used)),
        )
    outline = None
    if constants and settings.spec is None and set(channels) <= set(CONTACT_CHANNELS):
        outline = fit_outline(tried.matrix[used], offset[used], tried.treatment[used], tried.paid[used], channels)
    for channel in constants:
        mine = np.flatnonzero((tried.treatment == channels.index(channel)) & changed)
        effect_one[channel] = binned.grow(
            tried.paid[mine],
            rows=places[mine],
            offset=(offset + shift)[mine],
            settings=tuned(settings.effect, settings, seed, len(mine)),
        )
    return ChannelFit(
        learner=learner,
        channels=tuple(channels),
        base=base,
        amount=amount,
        constants=constants,
        reach=reach,
        effect_all=effect_all,
        effect_one=effect_one,
        n_jobs=settings.n_jobs,
        outline=outline,
        points=points,
        level=times.last,
    )


def _by_difference(
    learner: str,
    rows: ChannelRows,
    binned: BinnedMatrix | BinnedPart,
    channels: Sequence[str],
    settings: ContactChannelSettings,
    *,
    amount: AmountModel,
    seed: int,
    cross: CrossFit | None,
) -> ChannelFit:
    """A learner of the change of the probability of paying by the attempt, reached or not.

    S: one response model with the channel as a feature. T: one response model per channel. X, R, DR: one regression
    per channel on a pseudo-outcome made of responses and propensities of the other half of the members. The forest
    averages honest trees on the residuals of R; the policy tree tells a few segments apart by doubly robust scores.
    """
    cross = cross or cross_fit(rows, binned, channels, settings, seed=seed)
    places = cross.places
    pseudo = cross.pseudo_outcomes(rows, settings.weight_clip)
    money = amount.of(rows.take(places), n_jobs=settings.n_jobs)
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
            (pseudo[:, place] * money).mean() if learner in IN_MONEY else np.average(pseudo[:, place], weights=money)
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
        elif learner == CAUSAL_FOREST:
            target, weight = cross.regression(R_LEARNER, rows, place, pseudo)
            used = np.flatnonzero(weight > 0)
            effect_one[channel] = honest_forest(
                binned,
                rows.matrix,
                places[used],
                target[used],
                weight[used],
                rows.member[places[used]],
                settings=tuned(settings.forest, settings, seed, len(used)),
            )
    tree = None
    if learner == POLICY_TREE:
        spec = settings.spec or CUSTOMER_FEATURES
        tree = grow_policy_tree(
            rows.matrix[places],
            pseudo * money[:, None],
            columns=[at for at, name in enumerate(spec.feature_names) if name not in spec.category_names],
            depth=settings.policy_depth,
            least_rows=max(1, len(places) // 40),
        )
    return ChannelFit(
        learner=learner,
        channels=tuple(channels),
        base=cross.base,
        amount=amount,
        constants=constants,
        reach={},
        effect_all=effect_all,
        effect_one=effect_one,
        n_jobs=settings.n_jobs,
        points=contact_points(rows, channels, settings),
        tree=tree,
    )


def fit_response(rows: ChannelRows, settings: ContactChannelSettings, *, seed: int) -> lgb.Booster:
    """One model of paying with the channel as a feature: the S-learner, and the mean outcomes of the judge."""
    some = draw(np.arange(len(rows)), settings.booster_rows, seed=seed)
    part = rows.take(some)
    binned = bin_rows(with_channel(part.matrix, part.treatment), settings, seed=seed, channel=True)
    return binned.grow(part.paid, settings=tuned(settings.base, settings, seed, len(some)))
