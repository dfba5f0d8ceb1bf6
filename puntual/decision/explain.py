"""Why a member gets no contact, and the reason codes of those who get one."""

from __future__ import annotations

import json

import numpy as np
import numpy.typing as npt
import pandas as pd

from puntual.decision.arms import HOLD_OUT
from puntual.decision.plan import Plan
from puntual.decision.policies import as_json
from puntual.decision.scores import Scores

TIE = 1e-6
"""Money by which two figures may differ and be told as equal."""
NO_POSITIVE_VALUE = "no_positive_value"
CAPACITY = "capacity"
EXPLORATION_NONE = "exploration_none"
EXPLORATION_OVERFLOW = "exploration_overflow"
NO_SUPPORT = "no_support"
NOT_ON_THE_LADDER = "not_on_the_ladder"

_MOST_REASONS = 6
_HIGH_GAIN_SHARE = 0.75
_LARGE_ARREARS_SHARE = 0.9
_LONG_SILENCE_DAYS = 30

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]


def why_not(verdicts: pd.DataFrame, plan: Plan, scores: Scores, width: int) -> npt.NDArray[np.object_]:
    """JSON list per member: rules if every channel is blocked, one word if something else decided, [] for contacts."""
    size = len(plan.choice)
    answer = np.full(size, "[]", dtype=object)
    idle = plan.choice < 0
    some_allowed = plan.allowed.any(axis=1)
    wanted = plan.wanted.any(axis=1)
    supported = (plan.allowed & scores.supported).any(axis=1)
    no_value = NO_POSITIVE_VALUE if scores.is_model else NOT_ON_THE_LADDER
    why = np.select(
        [plan.is_overflow, plan.exploration.is_explored, wanted, plan.arms.on_ladder, supported],
        [EXPLORATION_OVERFLOW, EXPLORATION_NONE, CAPACITY, NOT_ON_THE_LADDER, no_value],
        NO_SUPPORT if scores.is_model else NOT_ON_THE_LADDER,
    )
    answer[idle & some_allowed] = [as_json([word]) for word in why[idle & some_allowed]]
    closed = np.flatnonzero(idle & ~some_allowed)
    if closed.size:
        codes, lists = pd.factorize(verdicts["blocked_by"].to_numpy(dtype=object))
        per_member = codes.reshape(size, width)[closed]
        patterns, inverse = np.unique(np.sort(per_member, axis=1), axis=0, return_inverse=True)
        parsed = [json.loads(text) for text in lists]
        united = [as_json(sorted({rule for code in pattern for rule in parsed[code]})) for pattern in patterns]
        answer[closed] = np.array(united, dtype=object)[inverse.reshape(-1)]
    for row in np.flatnonzero(plan.arms.is_held & idle):
        rules = json.loads(answer[row]) if not plan.allowed[row].any() else []
        answer[row] = as_json([*rules, f"experiment:{plan.arms.experiment_id[row]}:{HOLD_OUT}"])
    return answer


def reasons(
    people: pd.DataFrame,
    plan: Plan,
    scores: Scores,
    channels: list[str],
    assigned: pd.DataFrame,
    risk_codes: pd.Series,
) -> npt.NDArray[np.object_]:
    """JSON list of reason codes: the decision's own for contacts, then those of the risk model.

    That a channel brings most (``BEST_CHANNEL``, ``HIGH_GAIN_*``) is said where its gain is positive and no other
    permitted channel, nor none, has more left after the price of its capacity; where the gain is not, the provision or
    the fee makes its worth (``AVOIDS_PROVISION``). Where the head start of yesterday's list or better hours decided,
    that is said instead; of what is left over, that the plan of the whole day shares its capacities out so
    (``PLAN_OF_DAY``). Thus every contact that a model chose has a reason.
    """
    size = len(people)
    chosen = plan.choice >= 0
    is_best, is_kept, is_for_hours = _grounds(plan, scores)
    flags: list[tuple[str, Flags]] = []
    greedy = chosen & ~plan.exploration.is_explored & ~plan.arms.on_ladder
    flags.append(("EXPLORATION", chosen & plan.exploration.is_explored))
    flags.append(("MINIMUM_DUTY", chosen & plan.minimums.must))
    if scores.is_model:
        for position, channel in enumerate(channels):
            here = greedy & is_best & (plan.choice == position) & (scores.gain[:, position] > 0)
            known = scores.gain[:, position][plan.allowed[:, position] & scores.supported[:, position]]
            if here.any() and known.size:
                high = scores.gain[:, position] >= np.quantile(known, _HIGH_GAIN_SHARE)
                flags.append((f"HIGH_GAIN_{channel.upper()}", here & high))
                flags.append(("BEST_CHANNEL", here & ~high))
        free = greedy & ~plan.minimums.must
        gain = scores.gain[np.arange(size), np.maximum(plan.choice, 0)]
        flags.append(("AVOIDS_PROVISION", free & is_best & ~(gain > 0)))
        flags.append(("KEPT_FROM_BEFORE", free & is_kept))
        flags.append(("BETTER_HOURS", free & is_for_hours))
        flags.append(("PLAN_OF_DAY", free & ~is_best & ~is_kept & ~is_for_hours))
        on_ladder = plan.arms.on_ladder & ~plan.minimums.must
        flags.append(("LADDER_STEP", chosen & ~plan.exploration.is_explored & on_ladder))
    else:
        flags.append(("LADDER_STEP", greedy & ~plan.minimums.must))
    flags.append(("KNOWS_COLLECTOR", chosen & assigned["is_familiar"].to_numpy(dtype=bool)))
    flags.append(("PROMISE_BROKEN", chosen & (_number(people, "broken_promise_count_182d") > 0)))
    arrears = _number(people, "arrears_amount")
    owing = arrears[arrears > 0]
    if owing.size:
        flags.append(("LARGE_ARREARS", chosen & (arrears >= np.quantile(owing, _LARGE_ARREARS_SHARE)) & (arrears > 0)))
    flags.append(("DUE_SOON", chosen & (_number(people, "past_due_days") == 0)))
    silence = _number(people, "days_since_last_contact")
    flags.append(("NOT_CONTACTED_LATELY", chosen & ~(silence <= _LONG_SILENCE_DAYS)))

    pattern = np.zeros(size, dtype=np.int64)
    for position, (_, holds) in enumerate(flags):
        pattern |= np.where(holds, np.int64(1) << np.int64(position), np.int64(0))
    codes, patterns = pd.factorize(pattern)
    own = [[code for position, (code, _) in enumerate(flags) if int(bits) >> position & 1] for bits in patterns]
    risk_code, risk_lists = pd.factorize(risk_codes.to_numpy(dtype=object))
    parsed = [json.loads(text) for text in risk_lists]
    pair, pairs = pd.factorize(codes * max(len(parsed), 1) + risk_code)
    texts = []
    for number in pairs:
        mine, risk = own[number // max(len(parsed), 1)], parsed[number % max(len(parsed), 1)]
        texts.append(as_json([*mine, *(code for code in risk if code not in mine)][:_MOST_REASONS]))
    return np.array(texts, dtype=object)[pair] if size else np.zeros(0, dtype=object)


def _grounds(plan: Plan, scores: Scores) -> tuple[Flags, Flags, Flags]:
    """Whether each choice brings most by itself, else is kept for its head start, else is preferred for its hours."""
    rows, at = np.arange(len(plan.choice)), np.maximum(plan.choice, 0)
    chosen = plan.choice >= 0
    if not scores.is_model or not len(rows):
        return np.zeros_like(chosen), np.zeros_like(chosen), np.zeros_like(chosen)
    price = plan.allocation.price_of_choice
    usable = plan.allowed & scores.supported & np.isfinite(scores.worth) & np.isfinite(price)
    surplus = np.where(usable, scores.worth - np.where(usable, price, 0.0), -np.inf)
    weighed = np.where(usable, surplus + plan.stability.head_start, -np.inf)
    # no contact at all is worth nothing
    lead = np.maximum(surplus.max(axis=1), 0.0) - surplus[rows, at]
    is_best = chosen & (lead <= TIE)
    is_kept = chosen & ~is_best & (lead <= plan.stability.stay[rows, at] + TIE)
    is_first = weighed[rows, at] >= np.maximum(weighed.max(axis=1), 0.0) - TIE
    return is_best, is_kept, chosen & ~is_best & ~is_kept & is_first & (plan.stability.hours != 0).any(axis=1)


def _number(people: pd.DataFrame, column: str) -> Floats:
    return pd.to_numeric(people[column]).to_numpy(dtype=float, na_value=np.nan)
