"""Scores against the truth of their world, without the road around them: which chooser is worth how much.

The contest needs two frames of scores and a truth, nothing else; no run, no rules of contact, no exploration::

    from models.lab.contest import contest, table
    result = contest(channel_scores, risk_scores, truth, costs, budgets=(0.25, 0.08), teams={"call": 660, "visit": 20})
    print(table(result).to_string())

``channel_scores`` has customer_id, channel_code and gain_amount (with pay_probability and expected_amount the response
implied by the same model competes too); ``risk_scores`` has loan_id and default_probability; ``truth`` is the truth per
loan of ``models.lab.write`` or of another laboratory. Either scores may be None.

Every chooser has the same members (those eligible by the truth), the same channels and the same room, at most one
contact per member. A budget is the share of the eligible members that each channel may contact. It binds calls and
visits as well (``people``: ``same share``) and, when ``teams`` says how many contacts the institution's own people can
make on the day, messages alone, with the teams' own number of calls and visits (``people``: ``own teams``). A plan is
worth the true extra payments of its contacts less what they cost, and is compared with the plan that the true gains
would have chosen. The institution's habit spends its own number of contacts, and is compared with the best plan of as
many contacts.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from models.lab.judge import (
    Capacity,
    Pairs,
    best_choice,
    fill_in_order,
    largest_arrears_first,
    make_pairs,
)
from models.metrics import auc, brier, ece
from puntual.errors import UsageError

BUDGETS = (0.25, 0.08)
RISK, CHANNEL = "default risk", "best channel"
ORACLE, MODEL, RESPONSE, ARREARS, RANDOM, HABIT = (
    "oracle",
    "model",
    "response model",
    "largest arrears first",
    "random",
    "own habit",
)
PAST_DUE, SCORECARD, DEFAULT_LIGHTGBM = "past-due days alone", "scorecard", "default lightgbm"
OBSERVABLE = "taught the truth"
ABSTAINING = "model where supported"
SAME_SHARE, OWN_TEAMS = "same share", "own teams"
RANDOM_DRAWS = 5
_COLUMNS = ["part", "people", "budget", "chooser", "measure", "value"]


def contest(
    channel_scores: pd.DataFrame | None,
    risk_scores: pd.DataFrame | None,
    truth: pd.DataFrame,
    costs: Mapping[str, float],
    budgets: Sequence[float] = BUDGETS,
    *,
    teams: Mapping[str, int] | None = None,
    response_scores: pd.DataFrame | None = None,
    taught: pd.DataFrame | None = None,
    risk_baselines: Mapping[str, pd.DataFrame] | None = None,
    habit: pd.DataFrame | None = None,
    seed: int = 0,
) -> pd.DataFrame:
    """All measures of one world, one row per part, people, budget, chooser and measure (column ``value``).

    Args:
        channel_scores: customer_id, channel_code, gain_amount, one row per pair; with ``is_supported`` the plan that
            leaves out what the past hardly ever did competes too.
        risk_scores: loan_id, default_probability.
        truth: one row per loan: customer_id, eligible, arrears, gain_<channel>, and for the risk loan_id, dpd, active,
            p_default, default_label.
        costs: what one contact costs, for every channel of the truth.
        budgets: shares of the eligible members that each channel may contact.
        teams: contacts that people can make on the day, by channel (call, visit); None leaves that scenario out.
        response_scores: customer_id, channel_code, score: the payment predicted given the contact. Without it, the
            response implied by the channel scores, when they have pay_probability and expected_amount.
        taught: customer_id, channel_code, gain_amount of the model's gains corrected by the truth of other members:
            no competitor, but a mark that a learner with one day of truth reached.
        risk_baselines: frames like ``risk_scores`` of other models, by name.
        habit: customer_id, channel_code, probability: how the institution would choose by itself. Without it, the
            columns ``log_<channel>`` of the truth, when it has them.
        seed: of the random chooser.

    Raises:
        UsageError: a frame lacks a column, a pair or loan is scored twice, or a budget is not a share.
    """
    parts = []
    if risk_scores is not None:
        parts.append(risk_contest(risk_scores, truth, baselines=risk_baselines))
    if channel_scores is not None:
        parts.append(
            channel_contest(
                channel_scores,
                truth,
                costs,
                budgets,
                teams=teams,
                response_scores=response_scores,
                taught=taught,
                habit=habit,
                seed=seed,
            )
        )
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=_COLUMNS)


def risk_contest(
    scores: pd.DataFrame,
    truth: pd.DataFrame,
    *,
    past_due_days: int = 90,
    baselines: Mapping[str, pd.DataFrame] | None = None,
) -> pd.DataFrame:
    """The probability of default beside the true one and plain models, on open loans below the threshold.

    Measures: loan_count, auc, auc_share (over the true probability's), brier, ece (against the drawn outcome, ten
    groups of equal size), and against the true probability brier_to_truth (mean squared distance), ece_to_truth and
    mean_absolute_error. ``baselines`` are frames like ``scores``, by name; without one of past-due days, the raw days
    compete, which rank and are no probability.

    Raises:
        UsageError: a column is missing, a loan is scored twice, or an open loan below the threshold has no score.
    """
    _check(truth, ["loan_id", "dpd", "active", "p_default", "default_label"], ["loan_id"], "truth")
    rows = truth[truth["active"].astype(bool) & (truth["dpd"] < past_due_days)]
    label, exact = rows["default_label"].to_numpy(float), rows["p_default"].to_numpy(float)
    given = {MODEL: _of_loans(scores, rows, "risk scores", past_due_days), ORACLE: exact}
    for name, frame in (baselines or {}).items():
        given[name] = _of_loans(frame, rows, f"risk scores of {name}", past_due_days)
    best = auc(label, exact)
    found: dict[str, dict[str, float]] = {}
    for name, score in given.items():
        ranked = auc(label, score)
        found[name] = {
            "loan_count": len(rows),
            "auc": ranked,
            "auc_share": ranked / best,
            "brier": brier(label, score),
            "ece": ece(label, score),
            "brier_to_truth": brier(exact, score),
            "ece_to_truth": ece(exact, score),
            "mean_absolute_error": float(np.abs(score - exact).mean()),
        }
    if PAST_DUE not in found:
        ranked = auc(label, rows["dpd"].to_numpy(float))
        found[PAST_DUE] = {"loan_count": len(rows), "auc": ranked, "auc_share": ranked / best}
    return _long(RISK, "", math.nan, found)


def _of_loans(scores: pd.DataFrame, rows: pd.DataFrame, name: str, past_due_days: int) -> np.ndarray:
    _check(scores, ["loan_id", "default_probability"], ["loan_id"], name)
    given = scores.set_index("loan_id")["default_probability"].astype(float).reindex(rows["loan_id"]).to_numpy()
    if np.isnan(given).any():
        raise UsageError(
            f"{name}: {int(np.isnan(given).sum())} of {len(given)} open loans below {past_due_days} past-due days "
            "have no probability; score every open loan of the truth's date"
        )
    return np.asarray(given)


def channel_contest(
    scores: pd.DataFrame,
    truth: pd.DataFrame,
    costs: Mapping[str, float],
    budgets: Sequence[float] = BUDGETS,
    *,
    teams: Mapping[str, int] | None = None,
    response_scores: pd.DataFrame | None = None,
    taught: pd.DataFrame | None = None,
    habit: pd.DataFrame | None = None,
    seed: int = 0,
) -> pd.DataFrame:
    """Plans by several choosers under equal budgets; arguments and errors as in :func:`contest`.

    Measures: contact_count, gain_amount (true), cost_amount, net_amount, share_of_best (net over the oracle's net);
    for the model, and for it where supported, also claimed_amount (the gains that it expected of its plan), claim_ratio
    (claimed over true gain) and the claim ratio by channel; of the model's contacts that the past hardly ever tried
    unsupported_count, unsupported_gain_amount (true) and unsupported_claimed_amount. The budget of ``own habit``: NaN.
    """
    _check(scores, ["customer_id", "channel_code", "gain_amount"], ["customer_id", "channel_code"], "channel scores")
    _check(truth, ["customer_id", "eligible", "arrears"], [], "truth")
    channels = [column.removeprefix("gain_") for column in truth.columns if column.startswith("gain_")]
    without = sorted(set(channels) - set(costs))
    if not channels or without:
        raise UsageError(
            f"costs: no cost for {', '.join(without)}" if without else "truth: it has no column gain_<channel>"
        )
    people = np.sort(truth.loc[truth["eligible"].astype(bool), "customer_id"].unique())
    permitted = pd.DataFrame(
        {"customer_id": np.repeat(people, len(channels)), "channel_code": np.tile(channels, len(people))}
    ).assign(is_allowed=True)
    if response_scores is None and {"pay_probability", "expected_amount"} <= set(scores.columns):
        implied = scores["pay_probability"] * scores["expected_amount"] + scores["gain_amount"]
        response_scores = scores[["customer_id", "channel_code"]].assign(score=implied)
    parts = []
    for budget in budgets:
        if not 0 < budget <= 1:
            raise UsageError(f"budget {budget}: it is a share of the eligible members, above 0 and at most 1")
        share = round(budget * len(people))
        for who, own in ((SAME_SHARE, {}), (OWN_TEAMS, teams)):
            if own is None:
                continue
            rooms = [Capacity(code, (code,), None, own.get(code, share)) for code in channels]
            pairs = make_pairs(permitted, truth, rooms, costs)
            parts.append(_long(CHANNEL, who, budget, _under_budget(pairs, scores, response_scores, taught, seed)))
    if habit is None and f"log_{channels[0]}" in truth.columns:
        habit = _habit_of_truth(truth, channels)
    if habit is not None:
        parts.append(_own_habit(permitted, truth, costs, channels, habit))
    return pd.concat(parts, ignore_index=True)


def table(result: pd.DataFrame) -> pd.DataFrame:
    """The long frame of :func:`contest` with a column per measure, in the order of the contest."""
    wide = result.pivot_table(
        index=["part", "people", "budget", "chooser"], columns="measure", values="value", sort=False, dropna=False
    ).dropna(how="all")
    return wide[list(dict.fromkeys(result["measure"]))]


def _under_budget(
    pairs: Pairs, scores: pd.DataFrame, response: pd.DataFrame | None, taught: pd.DataFrame | None, seed: int
) -> dict[str, dict[str, float]]:
    claimed = _align(pairs, scores, "gain_amount")
    tried = np.ones(len(claimed), dtype=bool)
    best, _ = best_choice(pairs, pairs.net)
    plans: dict[str, list[np.ndarray]] = {ORACLE: [best], MODEL: [best_choice(pairs, claimed - pairs.cost)[0]]}
    if "is_supported" in scores.columns:
        # a gain of nothing is never worth its cost: the pair is left out, as a day's plan leaves it out
        tried = _align(pairs, scores, "is_supported") > 0
        known = np.where(tried, claimed, 0.0)
        plans[ABSTAINING] = [best_choice(pairs, known - pairs.cost)[0]]
    if taught is not None:
        plans[OBSERVABLE] = [best_choice(pairs, _align(pairs, taught, "gain_amount") - pairs.cost)[0]]
    if response is not None:
        plans[RESPONSE] = [best_choice(pairs, _align(pairs, response, "score") - pairs.cost)[0]]
    plans[ARREARS] = [largest_arrears_first(pairs)]
    rng = np.random.default_rng(seed)
    plans[RANDOM] = [fill_in_order(pairs, rng.permutation(len(pairs.channel))) for _ in range(RANDOM_DRAWS)]
    best_net = pairs.net[best].sum()
    found: dict[str, dict[str, float]] = {}
    for name, drawn in plans.items():
        gain = float(np.mean([pairs.gain[plan].sum() for plan in drawn]))
        cost = float(np.mean([pairs.cost[plan].sum() for plan in drawn]))
        found[name] = {
            "contact_count": float(np.mean([len(plan) for plan in drawn])),
            "gain_amount": gain,
            "cost_amount": cost,
            "net_amount": gain - cost,
            "share_of_best": _ratio(gain - cost, best_net),
        }
    for name in (MODEL, ABSTAINING):
        if name in plans:
            found[name] |= _claims(pairs, claimed, plans[name][0])
    if ABSTAINING in plans:
        beyond = plans[MODEL][0][~tried[plans[MODEL][0]]]
        found[MODEL] |= {
            "unsupported_count": float(len(beyond)),
            "unsupported_gain_amount": float(pairs.gain[beyond].sum()),
            "unsupported_claimed_amount": float(claimed[beyond].sum()),
        }
    return found


def _claims(pairs: Pairs, claimed: np.ndarray, plan: np.ndarray) -> dict[str, float]:
    """What the model expected of a plan against what it is worth, in all and by channel."""
    claim, true = claimed[plan], pairs.gain[plan]
    found = {"claimed_amount": float(claim.sum()), "claim_ratio": _ratio(claim.sum(), true.sum())}
    for code in np.unique(pairs.channel.astype(str)):
        here = pairs.channel[plan] == code
        found[f"claim_ratio_{code}"] = _ratio(claim[here].sum(), true[here].sum())
    return found


def _own_habit(
    permitted: pd.DataFrame,
    truth: pd.DataFrame,
    costs: Mapping[str, float],
    channels: Sequence[str],
    habit: pd.DataFrame,
) -> pd.DataFrame:
    _check(habit, ["customer_id", "channel_code", "probability"], ["customer_id", "channel_code"], "habit")
    spent = habit.groupby("channel_code")["probability"].sum().reindex(channels).fillna(0.0)
    rooms = [Capacity(code, (code,), None, round(spent[code])) for code in channels]
    pairs = make_pairs(permitted, truth, rooms, costs)
    chance = _align(pairs, habit, "probability")
    best, best_net = best_choice(pairs, pairs.net)
    gain, cost = float(chance @ pairs.gain), float(chance @ pairs.cost)
    rows = {
        HABIT: (chance.sum(), gain, cost, gain - cost),
        ORACLE: (len(best), pairs.gain[best].sum(), pairs.cost[best].sum(), best_net),
    }
    names = ("contact_count", "gain_amount", "cost_amount", "net_amount")
    found = {
        who: dict(zip(names, row, strict=True)) | {"share_of_best": row[3] / best_net} for who, row in rows.items()
    }
    return _long(CHANNEL, "as many contacts", math.nan, found)


def _habit_of_truth(truth: pd.DataFrame, channels: Sequence[str]) -> pd.DataFrame:
    """The probabilities ``log_<channel>`` per member: they stand at one of the member's loans."""
    columns = [f"log_{code}" for code in channels]
    chance = truth[truth["eligible"].astype(bool)].groupby("customer_id", sort=True)[columns].max()
    chance.columns = list(channels)
    return chance.melt(ignore_index=False, var_name="channel_code", value_name="probability").reset_index()


def _align(pairs: Pairs, scores: pd.DataFrame, column: str) -> np.ndarray:
    """The scores in the order of the pairs; a pair that nobody scored has 0."""
    wanted = pd.MultiIndex.from_arrays([pairs.customer_id, pairs.channel])
    known = pd.Series(
        scores[column].to_numpy(float), index=pd.MultiIndex.from_frame(scores[["customer_id", "channel_code"]])
    )
    return np.nan_to_num(known.reindex(wanted).to_numpy(float))


def _check(frame: pd.DataFrame, columns: Sequence[str], key: Sequence[str], name: str) -> None:
    missing = [column for column in columns if column not in frame.columns]
    if missing:
        raise UsageError(f"{name}: columns {', '.join(missing)} are missing; it has {', '.join(map(str, frame))}")
    if key and frame.duplicated(list(key)).any():
        raise UsageError(f"{name}: {int(frame.duplicated(list(key)).sum())} rows repeat their {', '.join(key)}")


def _ratio(part: float, whole: float) -> float:
    return float(part / whole) if whole else math.nan


def _long(part: str, people: str, budget: float, found: Mapping[str, Mapping[str, float]]) -> pd.DataFrame:
    rows = [
        (part, people, budget, chooser, measure, float(value))
        for chooser, measures in found.items()
        for measure, value in measures.items()
    ]
    return pd.DataFrame(rows, columns=_COLUMNS)
