"""The contest of the learners on later weeks, judged by what nobody learnt from.

Learners are ranked by R-loss. The plan of the chosen one, under the same number of contacts per channel and week as the
institution made, is valued by the doubly robust estimator; intervals resample members. A learner whose plan is not
surely better than one number per channel gives way to that. Accuracy of a response is never the judge.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from models.contact_channel.claims import measure_scale, trusted_scale
from models.contact_channel.judge import (
    bootstrap_mean,
    choose_learner,
    doubly_robust,
    or_best_arm,
    overlap,
    r_gain,
    reach_check,
)
from models.contact_channel.learners import (
    BEST_ARM,
    CANDIDATES,
    CONSTANT,
    S_LEARNER,
    THROUGH_REACH,
    ChannelFit,
    Gains,
    amount_offset,
    fit_amount,
    fit_learner,
)
from models.contact_channel.nuisance import Nuisance, cross_fit, fit_propensity
from models.contact_channel.plans import plan_by_week
from models.contact_channel.rows import NONE, ChannelRows, bin_rows, halves, thin_members
from models.contact_channel.settings import ContactChannelSettings
from models.estimators import probabilities, raw_score

LEAST_TRAIN_WEEKS = 4
RESPONSE = "response_score"


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
    learn = rows.take(thin_members(rows, np.flatnonzero(rows.week + gap <= first), settings.evaluation_rows))
    test = rows.take(thin_members(rows, np.flatnonzero(rows.week >= first), settings.evaluation_rows // 2))
    if (learn.treatment == NONE).sum() < settings.least_attempts or (
        learn.treatment != NONE
    ).sum() < settings.least_attempts:
        return {"split": None, "reason": "too few contacts, or too few members left alone, before the held-out weeks"}
    if learn.paid.sum() == 0 or (test.treatment != NONE).sum() == 0:
        return {"split": None, "reason": "no payment before the held-out weeks, or no contact in them"}

    fits = _fits(learn, channels, settings, seed=seed)
    said = {name: fit.gains(test.matrix, test.collectable, test.installment) for name, fit in fits.items()}
    gains = {name: found.gain for name, found in said.items()}
    nuisance = _nuisance(test, fits[THROUGH_REACH], said[S_LEARNER], settings, seed=seed)
    gains[RESPONSE] = nuisance.mean_amount[:, 1:]

    losses = {name: r_gain(test, nuisance, gain) for name, gain in gains.items()}
    winner, why = choose_learner(losses, test.member, draws=settings.bootstrap_draws, seed=seed)
    supported = nuisance.propensity[:, 1:] >= settings.support_propensity
    plans = {name: plan_by_week(np.where(supported, gain, -np.inf), test) for name, gain in gains.items()}
    # A payment counts with the amount expected of it: whether a contact moves a member to pay is what is judged, and
    # the scatter of single amounts would drown it. The same plans in the money that came in are reported beside.
    steady = replace(test, paid_amount=test.paid * nuisance.expected_amount)

    def intervals(samples: dict[str, np.ndarray]) -> dict[str, dict[str, float]]:
        return bootstrap_mean(samples, test.member, draws=settings.bootstrap_draws, seed=seed)

    values = {name: doubly_robust(steady, nuisance, plan, clip=settings.weight_clip) for name, plan in plans.items()}
    received = {name: doubly_robust(test, nuisance, plan, clip=settings.weight_clip) for name, plan in plans.items()}
    habit = steady.paid_amount
    against_floor = intervals({name: value - values[BEST_ARM] for name, value in values.items()})
    floor_losses = intervals({name: loss - losses[BEST_ARM] for name, loss in losses.items()})
    chosen, why = or_best_arm(winner, why, against_floor, floor_losses)
    through = said[THROUGH_REACH]
    base = raw_score(fits[THROUGH_REACH].base, test.matrix, n_jobs=settings.n_jobs)
    measured = measure_scale(test, nuisance, gains[chosen], through.reach, base, clip=settings.weight_clip)
    trusted = trusted_scale(measured.value, measured.error)
    return {
        "split": "time_with_gap",
        "train_weeks": [pd.Timestamp(w).date() for w in np.unique(learn.week)],
        "test_weeks": [pd.Timestamp(w).date() for w in np.unique(test.week)],
        "train_rows": len(learn),
        "test_rows": len(test),
        "logged_propensity_share": float((~np.isnan(test.propensity[test.treatment != NONE])).mean()),
        "smallest_r_loss": winner,
        "chosen": chosen,
        "chosen_because": why,
        "r_gain": intervals(losses),
        "value_per_member_week": intervals({"habit": habit} | values),
        "against_habit": intervals({name: value - habit for name, value in values.items()}),
        "against_best_arm": against_floor,
        "against_habit_in_money_received": intervals(
            {name: value - test.paid_amount for name, value in received.items()}
        ),
        "claimed_gain_per_member_week": _claimed(gains[chosen] * trusted, plans[chosen]),
        "scale": {channel: float(trusted[place]) for place, channel in enumerate(channels)},
        "scale_measured": {
            channel: {"value": float(measured.value[place]), "error": float(measured.error[place])}
            for place, channel in enumerate(channels)
        },
        "base_line": {"intercept": measured.base_line[0], "slope": measured.base_line[1]},
        "overlap": overlap(test, nuisance, plans[chosen], channels),
        "plan_counts": {channels[c]: int((plans[chosen] == c).sum()) for c in range(len(channels))},
        "reach_check": reach_check(test, fits[THROUGH_REACH], channels),
        "supported_share": {channels[c]: float(supported[:, c].mean()) for c in range(len(channels))},
    }


def _fits(
    learn: ChannelRows, channels: Sequence[str], settings: ContactChannelSettings, *, seed: int
) -> dict[str, ChannelFit]:
    binned = bin_rows(learn.matrix, settings, seed=seed)
    amount = fit_amount(learn, binned, settings, seed=seed)
    cross = cross_fit(learn, binned, channels, settings, seed=seed)
    fits = {
        name: fit_learner(name, learn, binned, channels, settings, amount=amount, seed=seed, cross=cross)
        for name in (*CANDIDATES, BEST_ARM)
        if name != CONSTANT
    }
    return fits | {CONSTANT: fits[THROUGH_REACH].only_constants()}


def _nuisance(
    test: ChannelRows, fit: ChannelFit, response: Gains, settings: ContactChannelSettings, *, seed: int
) -> Nuisance:
    """Mean outcomes by the S-learner's response, learnt before the test weeks, and propensities.

    Propensities are estimated on the test weeks, each half of the members by the other (the policy in force may be
    new); the probability of what was done is the logged one where the institution recorded it.
    """
    channel_count = response.gain.shape[1]
    money = raw_score(fit.amount, test.matrix, n_jobs=settings.n_jobs)
    money = np.exp(money + amount_offset(test.collectable, test.installment, fit.amount_level))
    alone = response.untouched * money
    outcomes = np.column_stack([alone, alone[:, None] + response.gain])
    own = bin_rows(test.matrix, settings, seed=seed)
    propensity = np.zeros((len(test), channel_count + 1))
    for there, here in halves(test):
        booster = fit_propensity(test, own, there, channel_count + 1, settings, seed=seed)
        propensity[here] = probabilities(booster, test.matrix[here], n_jobs=settings.n_jobs)
    taken = propensity[np.arange(len(test)), test.treatment + 1]
    logged = ~np.isnan(test.propensity)
    return Nuisance(propensity, outcomes, money, np.where(logged, test.propensity, taken))


def _claimed(gain: np.ndarray, plan: np.ndarray) -> float:
    index = np.arange(len(plan))
    return float(np.where(plan == NONE, 0.0, gain[index, np.maximum(plan, 0)]).mean())
