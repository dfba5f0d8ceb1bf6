"""How far the claimed gains can be believed: a factor per channel from held-out weeks.

What a contact through a channel changed is measured on the contacts themselves, each weighted by one over its logged
propensity, so that what moved collectors and is not in the data does not count. What would have happened without the
contact is the base, brought into line with the contacts that reached nobody, weighted likewise.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import expit

from models.contact_channel.nuisance import LEAST_PROPENSITY, Nuisance
from models.contact_channel.rows import NONE, ChannelRows

PRIOR_SCALE, PRIOR_SPREAD = 0.87, 0.15
"""Where claims lie before looking, and how far from it: on simulated worlds of three laws effects that were learnt and
then chosen among came true by .82 to .97, and differences believed more than they were learnt add a twenty-fifth."""
CHANNEL_SPREAD = 0.15
"""How far a channel's factor is expected to lie from that of all channels."""
SCALE_LIMITS = (0.1, 1.5)
LEAST_CONTACTS = 20
"""Contacts through a channel before its claims are measured: one contact agrees with any factor and knows no error."""
LEAST_UNREACHED = 200
LEAST_UNREACHED_SHARE = 0.1


@dataclass(frozen=True)
class MeasuredScale:
    """Factor on the claims of each channel with its standard error; NaN where too little was tried or claimed."""

    value: np.ndarray
    error: np.ndarray
    base_line: tuple[float, float]


def measure_scale(
    rows: ChannelRows, nuisance: Nuisance, gain: np.ndarray, reach: np.ndarray, base: np.ndarray, *, clip: float
) -> MeasuredScale:
    """Per channel, the factor on its gains that fits best what the contacts through it changed.

    A regression through the origin of what was paid beyond the base on what was claimed, each row weighing the amount
    expected and one over the propensity of its contact; rows with the larger claims, those that a plan would choose,
    count most, so the winner's curse is part of the factor.

    Args:
        rows: held-out rows.
        nuisance: with the probability of what was done.
        gain: rows x channels, in money.
        reach: rows x channels.
        base: log odds of paying when left alone.
        clip: largest weight.
    """
    money = np.maximum(nuisance.expected_amount, 0.01)
    weight = np.minimum(1.0 / np.maximum(nuisance.probability_taken(rows), LEAST_PROPENSITY), clip)
    tried = rows.treatment != NONE
    index = np.arange(len(rows))
    missed = np.where(tried, 1.0 - reach[index, np.maximum(rows.treatment, 0)], 1.0)
    quiet = np.flatnonzero(tried & ~rows.reached & (missed >= LEAST_UNREACHED_SHARE))
    if len(quiet) < LEAST_UNREACHED:
        # effects of the attempt: everybody tried was moved, so those left alone say what happens without a contact
        quiet = np.flatnonzero(~tried)
    line = (0.0, 1.0)
    if len(quiet) >= LEAST_UNREACHED:
        line = _line(base[quiet], rows.paid[quiet], weight[quiet] / missed[quiet])
    beyond = rows.paid - expit(line[0] + line[1] * base)
    value, error = np.full(gain.shape[1], np.nan), np.full(gain.shape[1], np.nan)
    for place in range(gain.shape[1]):
        mine = np.flatnonzero(rows.treatment == place)
        claim = gain[mine, place] / money[mine]
        counts = weight[mine] * money[mine]
        square = (counts * claim**2).sum()
        if (claim != 0).sum() < LEAST_CONTACTS or square <= 0:
            continue
        value[place] = (counts * claim * beyond[mine]).sum() / square
        error[place] = np.sqrt(((counts * claim * (beyond[mine] - value[place] * claim)) ** 2).sum()) / square
    return MeasuredScale(value, error, line)


def trusted_scale(value: np.ndarray, error: np.ndarray) -> np.ndarray:
    """The measured factors drawn to their mean by their errors, and the mean to ``PRIOR_SCALE`` by its own.

    A channel without a measurement has the mean.

    >>> trusted_scale(np.array([np.nan]), np.array([np.nan])).round(4).tolist()
    [0.87]
    >>> trusted_scale(np.array([0.5, 0.5]), np.array([0.0, 0.0])).round(2).tolist()
    [0.5, 0.5]
    """
    known = np.isfinite(value) & np.isfinite(error)
    measured, spread = np.where(known, value, 0.0), np.where(known, error, np.inf)
    trust = 1.0 / (spread**2 + CHANNEL_SPREAD**2)
    common = (trust @ measured + PRIOR_SCALE / PRIOR_SPREAD**2) / (trust.sum() + 1.0 / PRIOR_SPREAD**2)
    own = CHANNEL_SPREAD**2 / (CHANNEL_SPREAD**2 + spread**2)
    return np.clip(common + own * np.where(known, measured - common, 0.0), *SCALE_LIMITS)


def _line(base: np.ndarray, paid: np.ndarray, weight: np.ndarray, *, pull: float = 20.0) -> tuple[float, float]:
    """Intercept and slope that bring log odds into line with what happened; drawn to (0, 1) by ``pull`` rows."""
    # as many rows as the weights are worth, so that the pull keeps its meaning
    weight = weight * weight.sum() / (weight**2).sum()
    intercept, slope = 0.0, 1.0
    for _ in range(40):
        chance = expit(intercept + slope * base)
        miss, curve = weight * (chance - paid), weight * chance * (1 - chance)
        gradient = np.array([miss.sum() + pull * intercept, miss @ base + pull * (slope - 1.0)])
        cross = curve @ base
        hessian = np.array([[curve.sum() + pull, cross], [cross, curve @ base**2 + pull]])
        step = np.clip(np.linalg.solve(hessian, gradient), -1.0, 1.0)
        intercept, slope = intercept - float(step[0]), slope - float(step[1])
        if np.abs(step).max() < 1e-9:
            break
    return intercept, slope
