"""What judges and some learners need besides the effects: who was contacted how, and what each would have paid.

Everything said about a member here was learnt on other members.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import lightgbm as lgb
import numpy as np

from models.contact_channel.rows import NONE, ChannelRows, draw, halves, tuned
from models.contact_channel.settings import ContactChannelSettings
from models.estimators import BinnedMatrix, BinnedPart, probabilities

LEAST_PROPENSITY = 1e-3


@dataclass(frozen=True)
class Nuisance:
    """What judging needs; class 0 = no contact, then the channels.

    ``propensity`` is estimated from the features and its rows sum to 1. ``taken`` is the probability of what was done:
    as the institution logged it, and the estimate where it did not. None stands for the estimate everywhere.
    """

    propensity: np.ndarray
    mean_amount: np.ndarray
    expected_amount: np.ndarray
    taken: np.ndarray | None = None

    def take(self, places: np.ndarray) -> Nuisance:
        """The same on some of the rows."""
        taken = None if self.taken is None else self.taken[places]
        return Nuisance(self.propensity[places], self.mean_amount[places], self.expected_amount[places], taken)

    def probability_taken(self, rows: ChannelRows) -> np.ndarray:
        """Probability of each row's own treatment."""
        if self.taken is not None:
            return self.taken
        return np.asarray(self.propensity[np.arange(len(rows)), rows.treatment + 1])


@dataclass(frozen=True)
class CrossFit:
    """Probability of paying by treatment and of each treatment, for the rows at ``places``, each by other members.

    ``base`` is the response of those left alone, learnt on all rows: what the learners of a difference store.
    """

    base: lgb.Booster
    places: np.ndarray
    outcome: np.ndarray
    propensity: np.ndarray
    known: np.ndarray

    def pseudo_outcomes(self, rows: ChannelRows, clip: float) -> np.ndarray:
        """Per row and channel, the doubly robust change of the probability of paying; its mean is the mean change."""
        paid, treatment = rows.paid[self.places], rows.treatment[self.places]
        weight = np.minimum(1.0 / np.maximum(self.propensity, LEAST_PROPENSITY), clip)
        value = self.outcome.copy()
        index = np.arange(len(paid))
        value[index, treatment + 1] += weight[index, treatment + 1] * (paid - self.outcome[index, treatment + 1])
        return np.asarray(value[:, 1:] - value[:, :1])

    def regression(
        self, learner: str, rows: ChannelRows, place: int, pseudo: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Target and weight of each row for the effect of one channel; weight 0 leaves a row out.

        1. ``dr_learner``: the doubly robust change, every row.
        2. ``r_learner``: of the contacted through the channel and those left alone, what was paid beyond expectation
           over the treatment beyond expectation, weighted by the square of the latter.
        3. ``x_learner``: what the treated paid beyond what was expected of them untreated, and what the untreated would
           have paid beyond what they did, each weighted by the propensity of the other side.
        """
        paid, treatment = rows.paid[self.places], rows.treatment[self.places]
        if learner == "dr_learner":
            return pseudo[:, place], np.ones(len(paid))
        treated = treatment == place
        pair = treated | (treatment == NONE)
        chance = self.propensity[:, place + 1] / np.maximum(
            self.propensity[:, place + 1] + self.propensity[:, 0], LEAST_PROPENSITY
        )
        chance = np.clip(chance, 0.01, 0.99)
        alone, moved = self.outcome[:, 0], self.outcome[:, place + 1]
        if learner == "r_learner":
            rest = treated - chance
            target = (paid - chance * moved - (1 - chance) * alone) / rest
            return target, np.where(pair, rest**2, 0.0)
        target = np.where(treated, paid - alone, moved - paid)
        return target, np.where(pair, np.where(treated, 1 - chance, chance), 0.0)


def cross_fit(
    rows: ChannelRows,
    binned: BinnedMatrix | BinnedPart,
    channels: Sequence[str],
    settings: ContactChannelSettings,
    *,
    seed: int,
) -> CrossFit:
    """Responses by treatment and propensities on at most ``contest_rows`` rows, each half of the members by the other.

    A channel with fewer than ``least_attempts`` attempts in a half is not known.
    """
    places = draw(np.arange(len(rows)), settings.contest_rows, seed=seed)
    part = rows.take(places)
    outcome = np.zeros((len(part), len(channels) + 1))
    propensity = np.zeros_like(outcome)
    known = np.ones(len(channels), dtype=bool)
    still = draw(np.flatnonzero(rows.treatment == NONE), settings.booster_rows, seed=seed)
    base = binned.grow(rows.paid[still], rows=still, settings=tuned(settings.base, settings, seed, len(still)))
    for there, here in halves(part):
        for place in range(-1, len(channels)):
            mine = there[part.treatment[there] == place]
            if len(mine) < settings.least_attempts / 2:
                known[slice(None) if place == NONE else place] = False
                continue
            response = binned.grow(
                part.paid[mine], rows=places[mine], settings=tuned(settings.reach, settings, seed, len(mine))
            )
            outcome[here, place + 1] = probabilities(response, part.matrix[here], n_jobs=settings.n_jobs)
        chooser = fit_propensity(rows, binned, places[there], len(channels) + 1, settings, seed=seed)
        propensity[here] = probabilities(chooser, part.matrix[here], n_jobs=settings.n_jobs)
    return CrossFit(base, places, outcome, propensity, known)


def fit_propensity(
    rows: ChannelRows,
    binned: BinnedMatrix | BinnedPart,
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
