"""The contest of the learners on later weeks, judged by what nobody learnt from.

Learners are ranked by R-loss. The plan of the chosen one, under the same number of contacts per channel and week as the
institution made, is valued by the doubly robust estimator on later weeks than those that chose it; intervals resample
members. How far it tells members apart, against one number per channel, is what held-out weeks bear out. Accuracy of a
response is never the judge.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from models.contact_channel.amounts import AmountModel, fit_amount
from models.contact_channel.claims import MeasuredScale, measure_scale, trusted_scale
from models.contact_channel.judge import (
    Told,
    bootstrap_mean,
    by_attempt,
    choose_learner,
    doubly_robust,
    overlap,
    r_gain,
    reach_check,
    told_apart,
)
from models.contact_channel.learners import ChannelFit, Gains, fit_learner
from models.contact_channel.nuisance import Nuisance, cross_fit, fit_propensity
from models.contact_channel.plans import plan_by_week
from models.contact_channel.rows import NONE, ChannelRows, bin_rows, draw, halves, thin_members
from models.contact_channel.settings import (
    BEST_ARM,
    CANDIDATES,
    CONSTANT,
    S_LEARNER,
    THROUGH_REACH,
    ContactChannelSettings,
)
from models.estimators import BinnedMatrix, BinnedPart, probabilities

LEAST_TRAIN_WEEKS = 4
RESPONSE = "response_score"
ALWAYS = (THROUGH_REACH, S_LEARNER, BEST_ARM)
"""Learners that the judging itself needs: base and reach, mean outcomes, the floor."""


def compare(
    rows: ChannelRows,
    channels: Sequence[str],
    settings: ContactChannelSettings,
    *,
    seed: int,
    binned: BinnedMatrix | None = None,
) -> dict[str, Any]:
    """Every learner on the last ``test_weeks`` weeks, the chosen one, and the values of the plans with intervals.

    1. The learners see only weeks whose response window ends on or before the first test date.
    2. The earlier half of the test weeks chooses the learner.
    3. The later half values its plan, so that what made it win is not counted for it a second time. With one test
       week, half of the members choose and the others value.
    4. The chosen one is learnt on more rows, and more rows of the test weeks say how far its differences and claims can
       be believed: on a sample of them a claim of a tenth more or less cannot be told from chance.

    Returns ``{"split": None, "reason": ...}`` when there are too few weeks. ``binned`` holds ``rows`` in the same
    order; they are binned here when it is not given.
    """
    weeks = np.unique(rows.week)
    test_count = min(settings.test_weeks, len(weeks) // 4)
    if test_count < 1 or len(weeks) - test_count < LEAST_TRAIN_WEEKS:
        return {"split": None, "reason": f"{len(weeks)} weeks of history are too few to hold any out"}
    first = weeks[-test_count]
    gap = np.timedelta64(settings.response_window_days, "D")
    before = np.flatnonzero(rows.week + gap <= first)
    places = thin_members(rows, before, settings.evaluation_rows)
    learn = rows.take(places)
    later_weeks = np.flatnonzero(rows.week >= first)
    held = thin_members(rows, later_weeks, settings.claim_rows // 4)
    # where members are thinned, those that are left of fewer rows are among those that are left of more
    inside = np.searchsorted(held, thin_members(rows, later_weeks, settings.evaluation_rows // 2))
    every = rows.take(held)
    test = every.take(inside)
    if (learn.treatment == NONE).sum() < settings.least_attempts or (
        learn.treatment != NONE
    ).sum() < settings.least_attempts:
        return {"split": None, "reason": "too few contacts, or too few members left alone, before the held-out weeks"}
    if learn.paid.sum() == 0 or (test.treatment != NONE).sum() == 0:
        return {"split": None, "reason": "no payment before the held-out weeks, or no contact in them"}
    choosing, valuing = _parts(test)

    binned = binned or bin_rows(rows.matrix, settings, seed=seed)
    part = BinnedPart(binned, places)
    amount = fit_amount(learn, part, settings, seed=seed)
    fits = _fits(learn, part, channels, settings, amount=amount, seed=seed)
    checked = reach_check(test, fits[THROUGH_REACH], channels)
    unsplit = by_attempt(checked)
    if unsplit:
        fits[THROUGH_REACH] = fit_learner(
            THROUGH_REACH, learn, part, channels, settings, amount=amount, seed=seed, by_attempt=unsplit
        )
        fits[CONSTANT] = fits[THROUGH_REACH].only_constants()
    responses = _gains(fits[S_LEARNER], every)
    whole = _nuisance(every, BinnedPart(binned, held), fits[THROUGH_REACH], responses, settings, seed=seed)
    nuisance = whole.take(inside)
    gains = {
        name: responses.gain[inside] if name == S_LEARNER else _gains(fit, test).gain for name, fit in fits.items()
    }
    gains[RESPONSE] = nuisance.mean_amount[:, 1:]

    def intervals(samples: dict[str, np.ndarray], there: np.ndarray) -> dict[str, dict[str, float]]:
        return bootstrap_mean(samples, test.member[there], draws=settings.bootstrap_draws, seed=seed)

    # A payment counts with the amount expected of it: whether a contact moves a member to pay is what is judged, and
    # the scatter of single amounts would drown it. The same plans in the money that came in are reported beside.
    steady = replace(test, paid_amount=test.paid * nuisance.expected_amount)
    supported = nuisance.propensity[:, 1:] >= settings.support_propensity

    def plan_of(gain: np.ndarray) -> np.ndarray:
        return plan_by_week(np.where(supported, gain, -np.inf), test)

    def worth(of: ChannelRows, plan: np.ndarray) -> np.ndarray:
        return doubly_robust(of, nuisance, plan, clip=settings.weight_clip)

    # --- the earlier part chooses
    losses = {name: r_gain(test, nuisance, gain)[choosing] for name, gain in gains.items()}
    chosen, why = choose_learner(losses, test.member[choosing], draws=settings.bootstrap_draws, seed=seed)
    plans = {name: plan_of(gain) for name, gain in gains.items()}
    values = {name: worth(steady, plan) for name, plan in plans.items()}

    # --- what is put in force: the chosen one, learnt on more of the weeks before, its differences and claims scaled
    final = fits[chosen]
    more = thin_members(rows, before, settings.claim_rows)
    if len(more) > len(places):
        wide = BinnedPart(binned, more)
        part_of = rows.take(more)
        money = fit_amount(part_of, wide, settings, seed=seed)
        final = fit_learner(chosen, part_of, wide, channels, settings, amount=money, seed=seed, by_attempt=unsplit)
    through = fits[THROUGH_REACH] if chosen != THROUGH_REACH else final
    claimed = _gains(final, every)
    reach = claimed.reach if through is final else _gains(through, every).reach
    base = through.log_odds_alone(every.matrix)

    def believed(there: np.ndarray) -> tuple[Told, MeasuredScale, np.ndarray, np.ndarray]:
        """What the rows at ``there`` say of the differences and of the claims, and the gains of all rows by that."""
        by, of = every.take(there), whole.take(there)
        told = told_apart(by, of, claimed.gain[there], claimed.constant_gain[there])
        claim = claimed.told_by(told.trusted)
        found = measure_scale(by, of, claim[there], reach[there], base[there], clip=settings.weight_clip)
        scale = trusted_scale(found.value, found.error)
        return told, found, scale, claim * scale

    told, measured, trusted, _ = believed(np.arange(len(every)))
    # the plan is made with what was known when its weeks began
    known = believed(_parts(every)[0])[3][inside]
    plans[chosen] = plan_of(known)
    values[chosen] = worth(steady, plans[chosen])
    alone = worth(steady, np.full(len(test), NONE))
    later = {name: value[valuing] for name, value in values.items()}
    received = {name: worth(test, plan)[valuing] for name, plan in plans.items()}
    habit = steady.paid_amount[valuing]
    own = np.where(plans[chosen] == NONE, 0.0, known[np.arange(len(test)), np.maximum(plans[chosen], 0)])
    return {
        "split": "time_with_gap",
        "train_weeks": [pd.Timestamp(w).date() for w in np.unique(learn.week)],
        "test_weeks": [pd.Timestamp(w).date() for w in np.unique(test.week)],
        "valuing_weeks": [pd.Timestamp(w).date() for w in np.unique(test.week[valuing])],
        "train_rows": len(learn),
        "claim_rows": max(len(more), len(places)),
        "test_rows": len(test),
        "claim_test_rows": len(every),
        "logged_propensity_share": float((~np.isnan(test.propensity[test.treatment != NONE])).mean()),
        "chosen": chosen,
        "chosen_because": why,
        "r_gain": intervals(losses, choosing),
        "value_per_member_week": intervals({"habit": habit} | later, valuing),
        "against_habit": intervals({name: value - habit for name, value in later.items()}, valuing),
        "against_best_arm": intervals({name: value - later[BEST_ARM] for name, value in later.items()}, valuing),
        "against_habit_in_money_received": intervals(
            {name: value - test.paid_amount[valuing] for name, value in received.items()}, valuing
        ),
        "claimed_gain_per_member_week": float(own[valuing].mean()),
        "measured_gain_per_member_week": intervals({"gain": (values[chosen] - alone)[valuing]}, valuing)["gain"],
        "told_apart": told.trusted,
        "told_apart_measured": {"value": told.measured, "error": told.error},
        "scale": {channel: float(trusted[place]) for place, channel in enumerate(channels)},
        "scale_measured": {
            channel: {"value": float(measured.value[place]), "error": float(measured.error[place])}
            for place, channel in enumerate(channels)
        },
        "base_line": {"intercept": measured.base_line[0], "slope": measured.base_line[1]},
        "overlap": overlap(test.take(valuing), nuisance.take(valuing), plans[chosen][valuing], channels),
        "plan_counts": {channels[c]: int((plans[chosen][valuing] == c).sum()) for c in range(len(channels))},
        "reach_check": checked,
        "by_attempt": list(unsplit),
        "supported_share": {channels[c]: float(supported[:, c].mean()) for c in range(len(channels))},
    }


def _gains(fit: ChannelFit, rows: ChannelRows) -> Gains:
    return fit.gains(rows.matrix, rows.collectable, rows.installment)


def _parts(test: ChannelRows) -> tuple[np.ndarray, np.ndarray]:
    """Places of the rows that choose and of those that value: the earlier and the later weeks, or halves of members."""
    weeks = np.unique(test.week)
    if len(weeks) > 1:
        later = test.week >= weeks[(len(weeks) + 1) // 2]
        return np.flatnonzero(~later), np.flatnonzero(later)
    there, here = halves(test)[0]
    return there, here


def _fits(
    learn: ChannelRows,
    binned: BinnedPart,
    channels: Sequence[str],
    settings: ContactChannelSettings,
    *,
    amount: AmountModel,
    seed: int,
) -> dict[str, ChannelFit]:
    cross = cross_fit(learn, binned, channels, settings, seed=seed)
    fits = {
        name: fit_learner(name, learn, binned, channels, settings, amount=amount, seed=seed, cross=cross)
        for name in (*CANDIDATES, BEST_ARM)
        if name != CONSTANT and (name in settings.candidates or name in ALWAYS)
    }
    return fits | {CONSTANT: fits[THROUGH_REACH].only_constants()}


def _nuisance(
    test: ChannelRows,
    own: BinnedPart,
    fit: ChannelFit,
    response: Gains,
    settings: ContactChannelSettings,
    *,
    seed: int,
) -> Nuisance:
    """Mean outcomes by the S-learner's response, learnt before the test weeks, and propensities.

    Propensities are estimated on the test weeks, each half of the members by the other (the policy in force may be
    new) on as many rows as the contest has; the probability of what was done is the logged one where the institution
    recorded it.
    """
    channel_count = response.gain.shape[1]
    money = fit.amount.of(test, n_jobs=settings.n_jobs)
    alone = response.untouched * money
    outcomes = np.column_stack([alone, alone[:, None] + response.gain])
    propensity = np.zeros((len(test), channel_count + 1))
    for there, here in halves(test):
        some = draw(there, settings.evaluation_rows // 4, seed=seed)
        booster = fit_propensity(test, own, some, channel_count + 1, settings, seed=seed)
        propensity[here] = probabilities(booster, test.matrix[here], n_jobs=settings.n_jobs)
    taken = propensity[np.arange(len(test)), test.treatment + 1]
    logged = ~np.isnan(test.propensity)
    return Nuisance(propensity, outcomes, money, np.where(logged, test.propensity, taken))
