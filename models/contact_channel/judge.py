"""Judging a plan and its learner by what was logged, without the truth.

R-loss says how well a learner's gains explain what the logged contacts changed; the doubly robust value says what a
plan would have brought; the effective sample says whether the log can tell at all.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
from scipy.special import expit
from scipy.stats import norm

from models.contact_channel.learners import ChannelFit
from models.contact_channel.nuisance import LEAST_PROPENSITY, Nuisance
from models.contact_channel.rows import NONE, ChannelRows
from models.contact_channel.settings import CANDIDATES

LEAST_EFFECTIVE_SAMPLE = 100.0
LEAST_EFFECTIVE_SHARE = 0.002
"""Of the planned contacts; a log of two equally weighted rows in ten thousand is a refusal."""
APART_BEFORE, APART_SPREAD, APART_LIMITS = 1.4, 0.25, (0.0, 2.0)
"""Which part of the members' differences is expected to come true before looking, how far from that it may lie, and
what is believed at most. Learners are held back so that they do not invent differences, so more than they say is true:
nine worlds of three laws measured .2 to 1.9, 1.44 in the mean by their errors of .19 to 1.4."""
LEAST_APART = 20
"""Members that differences must be told of before anything is measured of them."""
REACH_DOUBT = 0.01
"""Chance, over all channels together, of calling the split through reach false where it is true."""


def doubly_robust(rows: ChannelRows, nuisance: Nuisance, plan: np.ndarray, *, clip: float) -> np.ndarray:
    """Per row, the doubly robust value of doing what ``plan`` says (-1 = no contact), in money.

    The mean outcome of the planned action, plus the surprise of those rows in which it was in fact taken, weighted by
    one over its propensity and clipped at ``clip``. Its mean is right if either the propensities or the mean outcomes
    are.
    """
    planned = nuisance.mean_amount[np.arange(len(rows)), plan + 1]
    surprise = importance(rows, nuisance, plan, clip=clip) * (rows.paid_amount - planned)
    return np.asarray(planned + surprise)


def importance(rows: ChannelRows, nuisance: Nuisance, plan: np.ndarray, *, clip: float = np.inf) -> np.ndarray:
    """One over the propensity of what was done where that is what the plan says, 0 elsewhere."""
    weight = np.minimum(1.0 / np.maximum(nuisance.probability_taken(rows), LEAST_PROPENSITY), clip)
    return np.where(plan == rows.treatment, weight, 0.0)


def overlap(rows: ChannelRows, nuisance: Nuisance, plan: np.ndarray, channels: Sequence[str]) -> dict[str, Any]:
    """How much the log says about the planned contacts: their effective sample, whole and by channel.

    The effective sample is the number of equally weighted rows that the logged rows agreeing with the plan are worth;
    weights are not clipped here, for clipping would hide that there are too few. Left alone by plan and in fact counts
    for nothing: there is always plenty of that.
    """
    weight = importance(rows, nuisance, plan)
    planned = plan != NONE
    worth = _effective(weight[planned])
    return {
        "effective_sample": worth,
        "planned_count": int(planned.sum()),
        "share": worth / max(int(planned.sum()), 1),
        "by_channel": {channel: _effective(weight[plan == place]) for place, channel in enumerate(channels)},
    }


def _effective(weight: np.ndarray) -> float:
    return float(weight.sum() ** 2 / max((weight**2).sum(), 1e-12))


def why_refused(found: dict[str, Any], least_effective_sample: float = LEAST_EFFECTIVE_SAMPLE) -> str:
    """Why the log cannot tell anything about the plan, or an empty text."""
    if found["effective_sample"] >= least_effective_sample and found["share"] >= LEAST_EFFECTIVE_SHARE:
        return ""
    return (
        f"the log says too little about the plan: of {found['planned_count']:,} planned contacts it is worth "
        f"{found['effective_sample']:.0f}; contact a share of the members at random to learn about others"
    )


def r_gain(rows: ChannelRows, nuisance: Nuisance, gain: np.ndarray) -> np.ndarray:
    """Per row, how much smaller the amount-weighted R-loss is with these gains than with none; larger is better.

    The outcome is whether something was paid, and each row weighs the amount expected if so: the noise of amounts would
    drown the differences between learners.
    """
    rest, told, money = _residuals(rows, nuisance, gain)
    return np.asarray(money * (rest**2 - (rest - told) ** 2))


def _residuals(rows: ChannelRows, nuisance: Nuisance, gain: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Per row, what was paid beyond expectation, what the gains say of it beyond expectation, and the money at stake.

    The first two are on the scale of the probability of paying.
    """
    index = np.arange(len(rows))
    money = np.maximum(nuisance.expected_amount, 0.01)
    shift = gain / money[:, None]
    rest = rows.paid - (nuisance.propensity * nuisance.mean_amount).sum(axis=1) / money
    own = np.where(rows.treatment == NONE, 0.0, shift[index, np.maximum(rows.treatment, 0)])
    return rest, own - (nuisance.propensity[:, 1:] * shift).sum(axis=1), money


def choose_learner(r_gains: Mapping[str, np.ndarray], members: np.ndarray, *, draws: int, seed: int) -> tuple[str, str]:
    """The learner to use and why: the first candidate unless another's R-loss is smaller beyond doubt.

    The order of ``CANDIDATES`` is the order of trust; R-loss on a few weeks ranks learners well but not finely. A
    challenger must be better beyond doubt although the best of several is looked at, so the interval is widened to as
    many comparisons (Bonferroni).
    """
    first, *rest = [name for name in CANDIDATES if name in r_gains]
    others = {name: r_gains[name] - r_gains[first] for name in rest}
    if others:
        level = 1 - 0.05 / len(others)
        paired = bootstrap_mean(others, members, draws=draws, seed=seed, level=level)
        better = [name for name in others if paired[name]["low"] > 0]
        if better:
            chosen = max(better, key=lambda name: paired[name]["value"])
            return chosen, f"its R-loss is smaller than that of {first} beyond doubt"
    return first, "no other learner has a smaller R-loss beyond doubt"


@dataclass(frozen=True)
class Told:
    """How far a learner's differences between members are believed, and what was measured, with its error.

    1: as the learner says; 0: everybody moves by the one number of the channel; above 1: members differ by more than
    the learner dares to say. ``measured`` and ``error`` are NaN where the learner tells nobody apart, or too few.
    """

    trusted: float
    measured: float
    error: float


def told_apart(rows: ChannelRows, nuisance: Nuisance, gain: np.ndarray, constant_gain: np.ndarray) -> Told:
    """How far the members' differences came true beside the level, drawn to ``APART_BEFORE``.

    What was paid beyond expectation is laid on two things at once, weighted as R-loss does: the gain by one number per
    channel (its coefficient is how far the level came true, which is the claims' matter and not this one's) and the
    members' differences from it. The measure is the quotient of the two, so gains that are all too large by the same
    factor say the same of the differences. Its error is by members, for weeks of one member are alike. A log of a few
    thousand rows hardly says anything; without evidence the quotient is taken to be where it lay on simulated worlds.

    Args:
        rows: held-out rows.
        nuisance: of the rows.
        gain: rows x channels, in money.
        constant_gain: the same by one number per channel.
    """
    rest, told, money = _residuals(rows, nuisance, gain)
    _, alike, _ = _residuals(rows, nuisance, constant_gain)
    apart = told - alike
    if not (apart != 0).any():
        return Told(1.0, np.nan, np.nan)
    sides = np.column_stack([alike, apart])
    square = (sides * money[:, None]).T @ sides
    members = len(np.unique(rows.member[apart != 0]))
    if members < LEAST_APART or np.linalg.cond(square) > 1e8:
        return Told(APART_BEFORE, np.nan, np.nan)
    level, differences = np.linalg.solve(square, (sides * money[:, None]).T @ rest)
    surprise = (sides * (money * (rest - level * alike - differences * apart))[:, None]) @ np.linalg.inv(square)
    by_member = np.column_stack([np.bincount(rows.member, weights=column) for column in surprise.T])
    scatter = by_member.T @ by_member
    measured = float(differences / level)
    slope = np.array([-measured, 1.0]) / level
    error = float(np.sqrt(slope @ scatter @ slope))
    certainty, before = 1.0 / max(error, 1e-9) ** 2, 1.0 / APART_SPREAD**2
    drawn = (measured * certainty + APART_BEFORE * before) / (certainty + before)
    return Told(float(np.clip(drawn, *APART_LIMITS)), measured, error)


def bootstrap_mean(
    samples: Mapping[str, np.ndarray], members: np.ndarray, *, draws: int, seed: int, level: float = 0.95
) -> dict[str, dict[str, float]]:
    """Mean of every sample with its interval, members resampled, with the same draws for all samples."""
    codes, names = pd.factorize(members)
    count = np.bincount(codes, minlength=len(names)).astype(float)
    sums = np.column_stack([np.bincount(codes, weights=v, minlength=len(names)) for v in samples.values()])
    random = np.random.default_rng(seed)
    weight = random.poisson(1.0, (draws, len(names))).astype(float)
    drawn = (weight @ sums) / np.maximum(weight @ count, 1.0)[:, None]
    low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2], axis=0)
    total = count.sum()
    return {
        name: {"value": float(sums[:, i].sum() / total), "low": float(low[i]), "high": float(high[i])}
        for i, name in enumerate(samples)
    }


def reach_check(rows: ChannelRows, fit: ChannelFit, channels: Sequence[str]) -> dict[str, dict[str, float]]:
    """Per channel, whether those tried and not reached paid like those left alone, beyond what the base expects.

    A difference far from 0 says that not being reached tells something about paying that the features do not (or that
    an attempt works without a contact), and the split through reach is not to be trusted for that channel.
    """
    expected = expit(fit.log_odds_alone(rows.matrix))
    rest = rows.paid - expected
    alone = rest[rows.treatment == NONE]
    found: dict[str, dict[str, float]] = {}
    for place, channel in enumerate(channels):
        mine = rest[(rows.treatment == place) & ~rows.reached]
        if len(mine) < 50 or len(alone) < 50:
            continue
        error = float(np.sqrt(mine.var() / len(mine) + alone.var() / len(alone)))
        difference = float(mine.mean() - alone.mean())
        found[channel] = {"difference": difference, "z": difference / max(error, 1e-9), "rows": len(mine)}
    return found


def by_attempt(check: Mapping[str, Mapping[str, float]]) -> tuple[str, ...]:
    """The channels whose effect must be learnt of the attempt, since being reached tells of paying there beyond doubt.

    Args:
        check: as :func:`reach_check` gives it. The limit is widened to as many comparisons (Bonferroni).

    >>> by_attempt({"call": {"z": -8.3}, "sms": {"z": 2.5}})
    ('call',)
    """
    limit = norm.ppf(1 - REACH_DOUBT / 2 / max(len(check), 1))
    return tuple(sorted(channel for channel, found in check.items() if abs(found["z"]) > limit))


def decide_promotion(
    judged: dict[str, Any],
    *,
    proof: Literal["certain", "likely"] = "certain",
    least_effective_sample: float = LEAST_EFFECTIVE_SAMPLE,
) -> dict[str, Any]:
    """Whether the chosen learner's plan may replace the present policy, and why.

    ``certain`` asks for the whole interval of its value above the habit's, ``likely`` for the estimate alone. Whatever
    is asked for, a plan that was not judged, or about which the log says too little, never replaces it: an estimate
    that rests on a handful of contacts is no estimate.

    Returns ``promote``, ``reason`` (English), and ``proof`` and ``least_effective_sample`` as given.
    """
    promote, reason = _decided(judged, proof, least_effective_sample)
    return {
        "promote": promote,
        "reason": reason,
        "proof": proof,
        "least_effective_sample": least_effective_sample,
    }


def _decided(judged: dict[str, Any], proof: str, least: float) -> tuple[bool, str]:
    if judged.get("split") is None:
        return False, f"not judged: {judged.get('reason', 'no held-out weeks')}"
    refused = why_refused(judged["overlap"], least)
    if refused:
        return False, refused
    against = judged["against_habit"][judged["chosen"]]
    bounds = f"({against['low']:.3f} to {against['high']:.3f})"
    text = f"{against['value']:.3f} per member and week against the present habit {bounds}"
    if against["low"] > 0:
        return True, f"{judged['chosen']}: {text}"
    if proof == "likely" and against["value"] > 0:
        return True, f"{judged['chosen']}: better by the estimate alone (promotion: likely), not surely, {text}"
    return False, f"{judged['chosen']}: not surely better, {text}"
