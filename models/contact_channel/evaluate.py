"""Which learner to trust and whether its plan beats the present one, judged on weeks that nobody learnt from.

Learners are ranked by R-loss (how well their gains explain what the logged contacts changed). The plan of the chosen
one, under the same number of contacts per channel and week as the institution made, is valued by the doubly robust
estimator; intervals resample members. Accuracy of a response is never the judge.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import expit

from models.contact_channel.learners import (
    CONSTANT,
    INTENTION_TO_TREAT,
    NONE,
    THROUGH_REACH,
    ChannelFit,
    ChannelRows,
    amount_offset,
    bin_rows,
    draw,
    fit_amount,
    fit_learner,
    fit_propensity,
    tuned,
    with_channel,
)
from models.contact_channel.settings import ContactChannelSettings
from models.datasets import member_fold
from models.estimators import probabilities, raw_score

LEAST_PROPENSITY = 1e-3
LEAST_TRAIN_WEEKS = 4
LEAST_EFFECTIVE_SAMPLE = 100.0
SCALE_SPREAD, SCALE_LIMITS = 0.25, (0.25, 1.5)
"""How far the truth of a claim is expected to lie from it before looking, and how far a claim is ever changed."""
CANDIDATES = (THROUGH_REACH, INTENTION_TO_TREAT, CONSTANT)
RESPONSE = "response_score"


@dataclass(frozen=True)
class Nuisance:
    """What judging needs besides the learners; class 0 = no contact, then the channels."""

    propensity: np.ndarray
    mean_amount: np.ndarray
    expected_amount: np.ndarray


def compare(
    rows: ChannelRows, channels: Sequence[str], settings: ContactChannelSettings, *, seed: int
) -> dict[str, Any]:
    """Every learner on the last ``test_weeks`` weeks, the chosen one, and the values of the plans with intervals.

    The learners see only weeks whose response window ends on or before the first test date. Returns ``{"split": None,
    "reason": ...}`` when there are too few weeks.
    """
    weeks = np.unique(rows.week)
    test_count = min(settings.test_weeks, len(weeks) // 4)
    if test_count < 1 or len(weeks) - test_count < LEAST_TRAIN_WEEKS:
        return {"split": None, "reason": f"{len(weeks)} weeks of history are too few to hold any out"}
    first = weeks[-test_count]
    gap = np.timedelta64(settings.response_window_days, "D")
    learn = rows.take(_members(rows, np.flatnonzero(rows.week + gap <= first), settings.evaluation_rows))
    test = rows.take(_members(rows, np.flatnonzero(rows.week >= first), settings.evaluation_rows // 2))
    if (learn.treatment == NONE).sum() < settings.least_attempts or (
        learn.treatment != NONE
    ).sum() < settings.least_attempts:
        return {"split": None, "reason": "too few contacts, or too few members left alone, before the held-out weeks"}
    if learn.paid.sum() == 0 or (test.treatment != NONE).sum() == 0:
        return {"split": None, "reason": "no payment before the held-out weeks, or no contact in them"}

    binned = bin_rows(learn.matrix, settings, seed=seed)
    amount = fit_amount(learn, binned, settings, seed=seed)
    fits = {
        name: fit_learner(name, learn, binned, channels, settings, amount=amount, seed=seed)
        for name in (THROUGH_REACH, INTENTION_TO_TREAT)
    }
    fits[CONSTANT] = fits[THROUGH_REACH].only_constants()
    gains = {name: fit.gains(test.matrix, test.collectable, test.installment).gain for name, fit in fits.items()}
    gains[RESPONSE], nuisance = _nuisance(learn, test, fits[THROUGH_REACH], len(channels), settings, seed=seed)

    losses = {name: r_gain(test, nuisance, gain) for name, gain in gains.items()}
    chosen, why = choose_learner(losses, test.member, draws=settings.bootstrap_draws, seed=seed)
    supported = nuisance.propensity[:, 1:] >= settings.support_propensity
    plans = {name: plan_by_week(np.where(supported, gain, -np.inf), test) for name, gain in gains.items()}
    # A payment counts with the amount expected of it: whether a contact moves a member to pay is what is judged, and
    # the scatter of single amounts would drown it. The same plans in the money that came in are reported beside.
    steady = replace(test, paid_amount=test.paid * nuisance.expected_amount)
    values = {name: doubly_robust(steady, nuisance, plan, clip=settings.weight_clip) for name, plan in plans.items()}
    habit = steady.paid_amount
    in_money = bootstrap_mean(
        {
            name: doubly_robust(test, nuisance, plan, clip=settings.weight_clip) - test.paid_amount
            for name, plan in plans.items()
        },
        test.member,
        draws=settings.bootstrap_draws,
        seed=seed,
    )
    samples = {"habit": habit} | values
    intervals = bootstrap_mean(samples, test.member, draws=settings.bootstrap_draws, seed=seed)
    against = bootstrap_mean(
        {name: value - habit for name, value in values.items()}, test.member, draws=settings.bootstrap_draws, seed=seed
    )
    loss_intervals = bootstrap_mean(losses, test.member, draws=settings.bootstrap_draws, seed=seed)
    scale, error = gain_scale(test, nuisance, gains[chosen])
    trusted = trusted_scale(scale, error)
    claimed = _claimed(gains[chosen] * trusted, plans[chosen])
    return {
        "split": "time_with_gap",
        "train_weeks": [pd.Timestamp(w).date() for w in np.unique(learn.week)],
        "test_weeks": [pd.Timestamp(w).date() for w in np.unique(test.week)],
        "train_rows": len(learn),
        "test_rows": len(test),
        "logged_propensity_share": float((~np.isnan(test.propensity[test.treatment != NONE])).mean()),
        "chosen": chosen,
        "chosen_because": why,
        "r_gain": loss_intervals,
        "value_per_member_week": intervals,
        "against_habit": against,
        "against_habit_in_money_received": in_money,
        "claimed_gain_per_member_week": claimed,
        "scale": {channel: float(trusted[place]) for place, channel in enumerate(channels)},
        "scale_measured": {
            channel: {"value": float(scale[place]), "error": float(error[place])}
            for place, channel in enumerate(channels)
        },
        "effective_sample": effective_sample(test, nuisance, plans[chosen], clip=settings.weight_clip),
        "plan_counts": {channels[c]: int((plans[chosen] == c).sum()) for c in range(len(channels))},
        "reach_check": reach_check(test, fits[THROUGH_REACH], channels),
        "supported_share": {channels[c]: float(supported[:, c].mean()) for c in range(len(channels))},
    }


def doubly_robust(rows: ChannelRows, nuisance: Nuisance, plan: np.ndarray, *, clip: float) -> np.ndarray:
    """Per row, the doubly robust value of doing what ``plan`` says (-1 = no contact), in money.

    The mean outcome of the planned action, plus the surprise of those rows in which it was in fact taken, weighted by
    one over its propensity and clipped at ``clip``. Its mean is right if either the propensities or the mean outcomes
    are.
    """
    index = np.arange(len(rows))
    planned = nuisance.mean_amount[index, plan + 1]
    taken = plan == rows.treatment
    weight = np.minimum(1.0 / np.maximum(nuisance.propensity[index, plan + 1], LEAST_PROPENSITY), clip)
    return planned + np.where(taken, weight * (rows.paid_amount - planned), 0.0)


def r_gain(rows: ChannelRows, nuisance: Nuisance, gain: np.ndarray) -> np.ndarray:
    """Per row, how much smaller the amount-weighted R-loss is with these gains than with none; larger is better.

    The outcome is whether something was paid, and each row weighs the amount expected if so: the noise of amounts would
    drown the differences between learners.
    """
    index = np.arange(len(rows))
    money = np.maximum(nuisance.expected_amount, 0.01)
    shift = gain / money[:, None]
    rest = rows.paid - (nuisance.propensity * nuisance.mean_amount).sum(axis=1) / money
    own = np.where(rows.treatment == NONE, 0.0, shift[index, np.maximum(rows.treatment, 0)])
    told = own - (nuisance.propensity[:, 1:] * shift).sum(axis=1)
    return money * (rest**2 - (rest - told) ** 2)


def gain_scale(rows: ChannelRows, nuisance: Nuisance, gain: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Per channel, the factor on its gains with the smallest R-loss, and its standard error; NaN where it has no gains.

    One weighted regression of what was paid beyond expectation on what the gains claim beyond expectation.
    """
    money = np.maximum(nuisance.expected_amount, 0.01)
    shift = gain / money[:, None]
    rest = rows.paid - (nuisance.propensity * nuisance.mean_amount).sum(axis=1) / money
    told = -nuisance.propensity[:, 1:] * shift
    contacted = np.flatnonzero(rows.treatment != NONE)
    told[contacted, rows.treatment[contacted]] += shift[contacted, rows.treatment[contacted]]
    known = np.flatnonzero((told != 0).any(axis=0))
    scale, error = np.full(gain.shape[1], np.nan), np.full(gain.shape[1], np.nan)
    if len(known) == 0:
        return scale, error
    x = told[:, known]
    inverse = np.linalg.pinv((x * money[:, None]).T @ x)
    scale[known] = inverse @ ((x * money[:, None]).T @ rest)
    noise = x * (money * (rest - x @ scale[known]))[:, None]
    error[known] = np.sqrt(np.diag(inverse @ (noise.T @ noise) @ inverse))
    return scale, error


def trusted_scale(scale: np.ndarray, error: np.ndarray) -> np.ndarray:
    """The factors drawn to 1 by their errors and kept within ``SCALE_LIMITS``; unknown ones are 1.

    >>> trusted_scale(np.array([0.5, 0.5, np.nan]), np.array([0.0, 0.25, np.nan])).tolist()
    [0.5, 0.75, 1.0]
    """
    trust = 1.0 / (1.0 + (error / SCALE_SPREAD) ** 2)
    return np.where(
        np.isnan(scale), 1.0, np.clip(1.0 + (np.nan_to_num(scale) - 1.0) * np.nan_to_num(trust), *SCALE_LIMITS)
    )


def choose_learner(r_gains: dict[str, np.ndarray], members: np.ndarray, *, draws: int, seed: int) -> tuple[str, str]:
    """The learner to use and why: the first candidate unless another's R-loss is smaller beyond doubt.

    The order of ``CANDIDATES`` is the order of trust; R-loss on a few weeks ranks learners well but not finely.
    """
    first = CANDIDATES[0]
    others = {name: r_gains[name] - r_gains[first] for name in CANDIDATES[1:]}
    paired = bootstrap_mean(others, members, draws=draws, seed=seed)
    better = [name for name in others if paired[name]["low"] > 0]
    if better:
        chosen = max(better, key=lambda name: paired[name]["value"])
        return chosen, f"its R-loss is smaller than that of {first} beyond doubt"
    return first, "no other learner has a smaller R-loss beyond doubt"


def effective_sample(rows: ChannelRows, nuisance: Nuisance, plan: np.ndarray, *, clip: float) -> float:
    """How many equally weighted rows the logged rows that agree with the plan are worth."""
    index = np.arange(len(rows))
    weight = np.minimum(1.0 / np.maximum(nuisance.propensity[index, plan + 1], LEAST_PROPENSITY), clip)
    weight = np.where(plan == rows.treatment, weight, 0.0)
    return float(weight.sum() ** 2 / max((weight**2).sum(), 1e-12))


def bootstrap_mean(
    samples: dict[str, np.ndarray], members: np.ndarray, *, draws: int, seed: int
) -> dict[str, dict[str, float]]:
    """Mean of every sample with its 95 % interval, members resampled, with the same draws for all samples."""
    codes, names = pd.factorize(members)
    count = np.bincount(codes, minlength=len(names)).astype(float)
    sums = np.column_stack([np.bincount(codes, weights=v, minlength=len(names)) for v in samples.values()])
    random = np.random.default_rng(seed)
    weight = random.poisson(1.0, (draws, len(names))).astype(float)
    drawn = (weight @ sums) / np.maximum(weight @ count, 1.0)[:, None]
    low, high = np.quantile(drawn, [0.025, 0.975], axis=0)
    total = count.sum()
    return {
        name: {"value": float(sums[:, i].sum() / total), "low": float(low[i]), "high": float(high[i])}
        for i, name in enumerate(samples)
    }


def plan_within(gain: np.ndarray, capacity: np.ndarray, *, rounds: int = 40) -> np.ndarray:
    """At most one channel per row and at most ``capacity`` rows per channel, with the most gain; -1 = none.

    Prices per channel by coordinate descent: each is set to the value of its first row left out. What the prices leave
    over capacity is cut by value. Only gains above 0 are used.
    """
    rows, channels = gain.shape
    capacity = np.asarray(capacity, dtype=int)
    prices = np.zeros(channels)
    worth = np.where(np.isfinite(gain), gain, -1e18)
    for _ in range(rounds):
        before = prices.copy()
        for c in range(channels):
            others = np.delete(worth - prices, c, axis=1).max(axis=1, initial=0.0)
            margin = worth[:, c] - np.maximum(others, 0.0)
            if capacity[c] >= rows:
                prices[c] = 0.0
            else:
                prices[c] = max(0.0, float(-np.partition(-margin, capacity[c])[capacity[c]]))
        if np.abs(prices - before).max() < 1e-9:
            break
    net = worth - prices
    best = net.argmax(axis=1)
    value = net[np.arange(rows), best]
    plan = np.where(value > 0, best, NONE)
    for c in range(channels):
        mine = np.flatnonzero(plan == c)
        if len(mine) > capacity[c]:
            plan[mine[np.argsort(-worth[mine, c], kind="stable")[capacity[c] :]]] = NONE
    for c in np.argsort(-prices, kind="stable"):
        free = capacity[c] - int((plan == c).sum())
        open_rows = np.flatnonzero((plan == NONE) & (worth[:, c] > 0))
        if free > 0 and len(open_rows):
            plan[open_rows[np.argsort(-worth[open_rows, c], kind="stable")[:free]]] = c
    return plan


def plan_by_week(gain: np.ndarray, rows: ChannelRows) -> np.ndarray:
    """The plan of every week under the number of contacts per channel that the institution itself made in it."""
    plan = np.full(len(rows), NONE)
    for week in np.unique(rows.week):
        here = np.flatnonzero(rows.week == week)
        used = np.bincount(rows.treatment[here] + 1, minlength=gain.shape[1] + 1)[1:]
        plan[here] = plan_within(gain[here], used)
    return plan


def reach_check(rows: ChannelRows, fit: ChannelFit, channels: Sequence[str]) -> dict[str, dict[str, float]]:
    """Per channel, whether those tried and not reached paid like those left alone, beyond what the base expects.

    A difference far from 0 says that not being reached tells something about paying that the features do not (or that
    an attempt works without a contact), and the split through reach is not to be trusted for that channel.
    """
    expected = expit(raw_score(fit.base, rows.matrix, n_jobs=fit.n_jobs))
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


def decide_promotion(judged: dict[str, Any]) -> dict[str, Any]:
    """Whether the chosen learner's plan may replace the present policy: only if it is better beyond doubt."""
    if judged.get("split") is None:
        return {"promote": False, "reason": f"not judged: {judged.get('reason', 'no held-out weeks')}"}
    if judged["effective_sample"] < LEAST_EFFECTIVE_SAMPLE:
        worth = judged["effective_sample"]
        return {"promote": False, "reason": f"the log says too little about the plan: it is worth {worth:.0f} rows"}
    against = judged["against_habit"][judged["chosen"]]
    bounds = f"({against['low']:.3f} to {against['high']:.3f})"
    text = f"{against['value']:.3f} per member and week against the present habit {bounds}"
    if against["low"] > 0:
        return {"promote": True, "reason": f"{judged['chosen']}: {text}"}
    return {"promote": False, "reason": f"{judged['chosen']}: not surely better, {text}"}


def _nuisance(
    learn: ChannelRows,
    test: ChannelRows,
    fit: ChannelFit,
    channel_count: int,
    settings: ContactChannelSettings,
    *,
    seed: int,
) -> tuple[np.ndarray, Nuisance]:
    """The response score's gains, and the nuisance made with it.

    Mean outcomes come from one response model with the channel as a feature, learnt before the test weeks. Propensities
    are estimated on the test weeks, each half of the members by the other (the policy in force may be new), and
    replaced by the logged one where the institution recorded it.
    """
    binned = bin_rows(with_channel(learn.matrix, learn.treatment), settings, seed=seed, channel=True)
    some = draw(np.arange(len(learn)), settings.booster_rows, seed=seed)
    response = binned.grow(learn.paid[some], rows=some, settings=tuned(settings.base, settings, seed, len(some)))
    money = raw_score(fit.amount, test.matrix, n_jobs=settings.n_jobs)
    money = np.exp(money + amount_offset(test.collectable, test.installment, fit.amount_level))
    wide = with_channel(test.matrix, np.full(len(test), NONE))
    outcomes = np.empty((len(test), channel_count + 1))
    for place in range(channel_count + 1):
        wide[:, -1] = np.nan if place == 0 else place - 1
        outcomes[:, place] = expit(raw_score(response, wide, n_jobs=settings.n_jobs)) * money

    own = bin_rows(test.matrix, settings, seed=seed)
    fold = member_fold(pd.Series(test.member).astype(str), 2)
    propensity = np.zeros((len(test), channel_count + 1))
    for half in (0, 1):
        there, here = np.flatnonzero(fold != half), np.flatnonzero(fold == half)
        if len(there) == 0 or len(here) == 0:
            there = here = np.arange(len(test))
        booster = fit_propensity(test, own, there, channel_count + 1, settings, seed=seed)
        propensity[here] = probabilities(booster, test.matrix[here], n_jobs=settings.n_jobs)
    index = np.arange(len(test))
    logged = ~np.isnan(test.propensity) & (test.treatment != NONE)
    propensity[index[logged], test.treatment[logged] + 1] = test.propensity[logged]
    return outcomes[:, 1:], Nuisance(propensity, outcomes, money)


def _claimed(gain: np.ndarray, plan: np.ndarray) -> float:
    index = np.arange(len(plan))
    return float(np.where(plan == NONE, 0.0, gain[index, np.maximum(plan, 0)]).mean())


def _members(rows: ChannelRows, places: np.ndarray, most: int) -> np.ndarray:
    """The places, thinned to whole members when there are more than ``most``."""
    if len(places) <= most:
        return places
    keep = 1 + int(999 * most / len(places))
    part = member_fold(pd.Series(rows.member[places]).astype(str), 1000, salt=2)
    return places[part < keep]
