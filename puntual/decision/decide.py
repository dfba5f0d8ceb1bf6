"""The day's decision for every eligible member: rules, value, capacity, exploration and assignment put together.

One decision row for everyone who owes something today or within the response window, chosen or not, and one detail row
per member and channel: verdict of the rules, value, price, what the greedy plan and what chance would have done.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from puntual.decision import assign as assignment
from puntual.decision.allocate import Allocation, allocate
from puntual.decision.capacity import COLLECTOR_CHANNELS, Capacity, Layout, capacities, roster, zone_keys
from puntual.decision.explore import Exploration, explore, worth_trying
from puntual.decision.holiday_calendar import HolidayCalendar
from puntual.decision.policies import Ladder, PolicySet, as_json
from puntual.decision.rules import evaluate
from puntual.errors import RuleError

DECISION_COLUMNS = (
    "as_of_date",
    "customer_id",
    "loan_id",
    "action",
    "eligible",
    "blocked_by",
    "window_start",
    "window_end",
    "collector_id",
    "rank",
    "arrears_amount",
    "past_due_days",
    "default_probability",
    "expected_gain_amount",
    "contact_cost_amount",
    "propensity",
    "is_exploration",
    "reason_codes",
    "experiment_id",
    "arm_code",
)
DETAIL_COLUMNS = (
    "as_of_date",
    "customer_id",
    "loan_id",
    "channel_code",
    "zone",
    "is_allowed",
    "blocked_by",
    "sources",
    "earliest_permitted_at",
    "is_never",
    "gain_amount",
    "cost_amount",
    "net_amount",
    "reach_probability",
    "is_supported",
    "price_amount",
    "greedy_action",
    "explore_probability",
    "is_chosen",
    "contact_point_id",
)
PRICE_COLUMNS = (
    "as_of_date",
    "capacity_name",
    "channels",
    "zone",
    "capacity_count",
    "used_count",
    "price_amount",
)

NO_POSITIVE_VALUE = "no_positive_value"
CAPACITY = "capacity"
EXPLORATION_NONE = "exploration_none"
EXPLORATION_OVERFLOW = "exploration_overflow"
NO_SUPPORT = "no_support"
NOT_ON_THE_LADDER = "not_on_the_ladder"
HOLD_OUT = "hold_out"
LADDER = "ladder"

_MOST_REASONS = 6
_HIGH_GAIN_SHARE = 0.75
_LARGE_ARREARS_SHARE = 0.9
_LADDER_STEP_DOWN = 0.8
_LONG_SILENCE_DAYS = 30

_TIE = 1e-9
"""Two actions nearer than this are alike: which of them a plan would take is not known without making it."""

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class DecisionOutcome:
    """What was decided and why.

    ``decisions``: one row per eligible member, by customer_id, columns :data:`DECISION_COLUMNS`. ``details``: one row
    per eligible member and channel, :data:`DETAIL_COLUMNS`. ``prices``: one row per capacity, :data:`PRICE_COLUMNS`.
    ``summary``: figures of the run.
    """

    decisions: pd.DataFrame
    details: pd.DataFrame
    prices: pd.DataFrame
    summary: dict[str, Any]


def decide(
    *,
    features: pd.DataFrame,
    customers: pd.DataFrame,
    contact_points: pd.DataFrame,
    interactions: pd.DataFrame,
    promises: pd.DataFrame,
    payments: pd.DataFrame,
    collectors: pd.DataFrame,
    channel_scores: pd.DataFrame | None,
    default_risk: pd.DataFrame | None,
    policies: PolicySet,
    ladder: Ladder,
    holidays: HolidayCalendar,
    costs: Mapping[str, float],
    daily_capacity: Mapping[str, int | None],
    as_of: date,
    timezone: str,
    exploration_share: float,
    exploration_max_cost: float | None = None,
    exploration_max_cost_share: float | None = None,
    seed: int = 0,
    promise_grace_days: int = 2,
    arms: pd.DataFrame | None = None,
) -> DecisionOutcome:
    """At most one contact today for every eligible member, within rules and capacities, for the greatest value.

    1. Eligible: ``is_eligible`` rows of ``features`` (owes something today or within the response window).
    2. Value of a channel: expected extra recovery less the cost of the contact. Only positive values are chosen.
       Channels that the model does not support for a member are left to exploration.
    3. Without ``channel_scores`` the written ladder decides: gains are NULL, and so are prices and bound; members are
       served by past-due days, then amount.
    4. A share of the members gets a random permitted action (``is_exploration``), but none that would not pay for
       itself at twice its estimated gain. ``propensity`` is the probability of the row's action: (1 - share) if it is
       the greedy one, plus share times its probability when drawing: exact, given everybody else's draws. The greedy
       action of a member who was drawn is what the plan would have chosen had that member not been: its place given
       back, and everyone who would make room counted (``Allocation.displaced``). NULL where a draw met a full capacity
       (``exploration_overflow``) and where that choice is not certain (a tie, or a plan without proof that it is the
       best): such a row is no evidence.
    5. ``blocked_by`` of a member without contact: rule ids when every channel is blocked, else why nothing was chosen:
       ``no_positive_value``, ``no_support``, ``capacity``, ``not_on_the_ladder``, ``exploration_none``,
       ``exploration_overflow``. ``[]`` for a contact. ``experiment:<id>:hold_out`` for the held out, beside the rules.
    6. ``arrears_amount`` and ``past_due_days`` are the member's sum and maximum over all loans; ``loan_id`` is the main
       loan, that of the largest arrears; ``default_probability`` is that of the member's worst loan.
    7. ``rank`` 1 is the contact of greatest net value in its list: the collector's, or the channel's for messages.
    8. Members of experiments follow their arm: no contact for a hold-out, the written ladder for a ladder, which gets
       of every capacity the part that its members are expected to be of all who are planned for. Exploration goes on in
       all arms but hold-outs. ``propensity`` then counts the draw of the arm too: with probabilities h of a hold-out
       and l of a ladder it is (1 - h) times that of the draw, plus (1 - share) times (1 - h - l) if the action is the
       product's and l if it is the ladder's, plus h if it is none. What an arm's plan would have done for a member of
       another is found as for the explored. Without a channel model the product is the ladder.

    Args:
        features: feat_customer__as_of rows of ``as_of``.
        customers: dim_customers.
        contact_points: dim_contact_points.
        interactions: fct_interactions.
        promises: fct_promises.
        payments: fct_payments.
        collectors: dim_collectors.
        channel_scores: long scores per customer and channel, or None when the channel model is off.
        default_risk: loan_id, default_probability, reason_codes, and customer_id when a member's worst loan is to count
            instead of the main one; or None.
        policies: rules in force on ``as_of``.
        ladder: order of channels by past-due days.
        holidays: calendar of the country.
        costs: cost of one contact by channel; its keys are the channels offered, in order.
        daily_capacity: contacts a day of channels without collectors; None is no limit.
        as_of: contact day.
        timezone: the institution's zone.
        exploration_share: probability with which a member is explored.
        exploration_max_cost: what the drawn contacts of the day may cost in expectation; None is no limit.
        exploration_max_cost_share: the same as a share of what the day would cost if nobody were explored; the smaller
            of the two limits holds.
        seed: of the draws.
        promise_grace_days: whole days after a promise's due date before it counts as broken.
        arms: of the members of experiments, columns ``puntual.experiments.assign.ARM_COLUMNS``; None: there are none.

    Raises:
        RuleError: inputs that no decision can rest on (members twice, a member without a customer row).
    """
    channels = list(costs)
    people = _people(features, customers)
    verdicts = evaluate(
        people,
        contact_points,
        interactions,
        promises,
        payments,
        policies=policies,
        holidays=holidays,
        as_of=as_of,
        timezone=timezone,
        channels=channels,
        promise_grace_days=promise_grace_days,
    )
    width = len(channels)
    allowed = verdicts["is_allowed"].to_numpy(dtype=bool).reshape(-1, width)
    cost = np.array([costs[channel] for channel in channels], dtype=np.float64)
    scores = _Scores.of(people, channel_scores, channels, ladder, cost)
    team = roster(collectors, channels, as_of)
    offered = capacities(team, channels, daily_capacity)
    group = _Arms.of(people, arms, is_model=scores.is_model)
    by_ladder = _Scores.of(people, None, channels, ladder, cost) if group.ladder_probability.any() else None
    plan = _plan(
        people,
        allowed,
        scores,
        by_ladder,
        group,
        offered,
        channels,
        share=exploration_share,
        most_cost=exploration_max_cost,
        most_cost_share=exploration_max_cost_share,
        seed=seed,
        as_of=as_of,
    )
    chosen = plan.choice >= 0
    familiar = assignment.familiar_collectors(promises, interactions, as_of=as_of)
    assigned = _assign(people, plan, scores, channels, team, familiar)
    decisions = _decisions(people, verdicts, plan, scores, channels, assigned, default_risk, as_of)
    details = _details(people, verdicts, plan, scores, channels, as_of)
    prices = _prices(offered, plan, scores, as_of)
    summary = _summary(people, plan, scores, channels, policies, team, int(chosen.sum()), exploration_share)
    return DecisionOutcome(_plain(decisions), _plain(details), _plain(prices), summary)


def _plain(frame: pd.DataFrame) -> pd.DataFrame:
    """Texts as objects with None for what is missing, whatever pandas made of them on the way."""
    for name in frame.columns:
        if frame[name].dtype == object or isinstance(frame[name].dtype, pd.StringDtype):
            values = frame[name].astype(object)
            frame[name] = values.where(values.notna(), None)
    return frame


def _people(features: pd.DataFrame, customers: pd.DataFrame) -> pd.DataFrame:
    """Eligible members by customer_id, with what the rules and the lists need of them."""
    eligible = features[features["is_eligible"].to_numpy(dtype=bool)].sort_values("customer_id")
    known = customers[["customer_id", "customer_status_code", "timezone", "province", "language_code"]]
    if eligible["customer_id"].duplicated().any() or known["customer_id"].duplicated().any():
        raise RuleError("A member appears twice among the eligible members or the customers; rebuild the marts.")
    shared = [name for name in known.columns if name in eligible.columns and name != "customer_id"]
    people = eligible.drop(columns=shared).merge(known, on="customer_id", how="left", indicator=True)
    if (people["_merge"] != "both").any():
        missing = people.loc[people["_merge"] != "both", "customer_id"].iloc[0]
        raise RuleError(f"The eligible member {missing} is not in dim_customers; rebuild the marts.")
    people = people.drop(columns="_merge").reset_index(drop=True)
    return people.assign(zone=pd.Series(zone_keys(people["province"]), index=people.index, dtype=object))


@dataclass(frozen=True)
class _Scores:
    """Per member and channel: gain, what is compared (``worth``), and whether the estimate is to be trusted.

    ``worth`` is money when ``is_model``; on the ladder it is an order of precedence without unit.
    """

    is_model: bool
    gain: Floats
    cost: Floats
    worth: Floats
    reach: Floats
    supported: Flags

    @classmethod
    def of(
        cls,
        people: pd.DataFrame,
        channel_scores: pd.DataFrame | None,
        channels: list[str],
        ladder: Ladder,
        cost: Floats,
    ) -> _Scores:
        shape = (len(people), len(channels))
        if channel_scores is None:
            worth = ladder_worth(people, ladder, channels)
            empty = np.full(shape, np.nan)
            return cls(False, empty, cost, worth, empty, np.isfinite(worth))
        row = pd.Index(people["customer_id"]).get_indexer(pd.Index(channel_scores["customer_id"]))
        column = pd.Index(channels).get_indexer(pd.Index(channel_scores["channel_code"]))
        mine = (row >= 0) & (column >= 0)
        place = (row[mine], column[mine])
        if np.unique(place[0] * shape[1] + place[1]).size != place[0].size:
            raise RuleError("The channel scores have a member and channel twice; score one as-of date only.")
        gain, reach = np.full(shape, np.nan), np.full(shape, np.nan)
        supported = np.zeros(shape, dtype=bool)
        gain[place] = channel_scores["gain_amount"].to_numpy(dtype=float)[mine]
        reach[place] = channel_scores["reach_probability"].to_numpy(dtype=float)[mine]
        supported[place] = channel_scores["is_supported"].eq(True).to_numpy(dtype=bool)[mine]
        supported &= np.isfinite(gain)
        return cls(True, gain, cost, gain - cost, reach, supported)


def ladder_worth(people: pd.DataFrame, ladder: Ladder, channels: list[str]) -> Floats:
    """What the written ladder compares, without unit: the later member first, then the larger amount.

    Rows x channels; each next channel of a step counts 20 % less, NaN where the step does not have the channel.

    Args:
        people: ``past_due_days`` and ``collectable_amount`` (what is owed now and within the response window).
        ladder: order of channels by past-due days.
        channels: channels offered.
    """
    days = people["past_due_days"].to_numpy(dtype=float)
    amount = people["collectable_amount"].fillna(0).to_numpy(dtype=float)
    order = np.lexsort((np.arange(len(people)), -amount, -days))
    precedence = np.empty(len(people))
    precedence[order] = np.linspace(2.0, 1.0, len(people)) if len(people) else []
    worth = np.full((len(people), len(channels)), np.nan)
    for step in ladder.steps:
        inside = (days >= step.min_days) & (days <= (np.inf if step.max_days is None else step.max_days))
        for position, channel in enumerate(step.channels):
            if channel in channels:
                worth[inside, channels.index(channel)] = precedence[inside] * _LADDER_STEP_DOWN**position
    return worth


@dataclass(frozen=True)
class _Arms:
    """What the experiments ask for each member, and how likely their draws made that; nothing for all others."""

    experiment_id: npt.NDArray[np.object_]
    arm_code: npt.NDArray[np.object_]
    is_held: Flags
    on_ladder: Flags
    held_probability: Floats
    ladder_probability: Floats

    @classmethod
    def of(cls, people: pd.DataFrame, arms: pd.DataFrame | None, *, is_model: bool) -> _Arms:
        size = len(people)
        if arms is None or arms.empty:
            none, never, zero = np.full(size, None, dtype=object), np.zeros(size, dtype=bool), np.zeros(size)
            return cls(none, none, never, never, zero, zero)
        if arms["customer_id"].duplicated().any():
            raise RuleError(
                "A member has two arms; give the one that decides, as puntual.experiments.assign.arms does."
            )
        mine = arms.set_index("customer_id").reindex(people["customer_id"])
        texts = mine[["experiment_id", "arm_code", "policy"]].astype(object)
        texts = texts.where(texts.notna(), None)
        ladder = mine["ladder_probability"].fillna(0.0).to_numpy(dtype=float)
        return cls(
            texts["experiment_id"].to_numpy(dtype=object),
            texts["arm_code"].to_numpy(dtype=object),
            (texts["policy"] == HOLD_OUT).to_numpy(dtype=bool),
            (texts["policy"] == LADDER).to_numpy(dtype=bool) & is_model,
            mine["hold_out_probability"].fillna(0.0).to_numpy(dtype=float),
            ladder if is_model else np.zeros(size),
        )


@dataclass(frozen=True)
class _Plan:
    choice: npt.NDArray[np.int64]
    greedy: npt.NDArray[np.int64]
    exploration: Exploration
    is_overflow: Flags
    propensity: Floats
    allocation: Allocation
    used: npt.NDArray[np.int64]
    allowed: Flags
    wanted: Flags
    arms: _Arms
    exploration_cost: float
    exploration_most: float | None


def _plan(
    people: pd.DataFrame,
    allowed: Flags,
    scores: _Scores,
    by_ladder: _Scores | None,
    arms: _Arms,
    offered: Sequence[Capacity],
    channels: list[str],
    *,
    share: float,
    most_cost: float | None,
    most_cost_share: float | None,
    seed: int,
    as_of: date,
) -> _Plan:
    """Draws first, then the best use of what they leave; everyone else follows the plan of its arm."""
    zone = people["zone"].to_numpy(dtype=object)
    layout = Layout.of(offered, channels)
    cell = layout.zone_codes(zone, len(people))

    def solved(mine: _Scores, rows: Flags, counts: Ints) -> Allocation:
        part = [Capacity(one.name, one.cells, int(count), one.kind) for one, count in zip(offered, counts, strict=True)]
        worth = np.where(np.isfinite(mine.worth), mine.worth, -np.inf)
        return allocate(worth[rows], (allowed & mine.supported)[rows], part, channels=channels, zones=zone[rows])

    if most_cost_share is not None and share > 0:
        # of a plan that no draw enters, so that the probabilities do not depend on the draws
        undrawn = solved(scores, np.ones(len(people), dtype=bool), layout.counts).choice
        by_plan = most_cost_share * float(scores.cost[undrawn[undrawn >= 0]].sum())
        most_cost = by_plan if most_cost is None else min(most_cost, by_plan)
    exploration = explore(
        people["customer_id"],
        allowed & layout.reachable[:, cell].T & worth_trying(scores.gain, scores.cost, scores.supported),
        cell,
        layout.member,
        layout.is_pool,
        layout.counts,
        share=share,
        seed=seed,
        as_of=as_of,
        cost=scores.cost,
        most_cost=most_cost,
    )
    exploration = replace(exploration, is_explored=exploration.is_explored & ~arms.is_held)
    drawn = np.where(exploration.is_explored, exploration.drawn, -1)
    kept, spent = _keep(layout, cell, drawn, exploration.priority)
    is_overflow = exploration.is_explored & (drawn >= 0) & ~kept
    left = layout.counts - spent
    planned = ~exploration.is_explored & ~arms.is_held
    of_ladder = planned & arms.on_ladder
    # by the probabilities of the arms, so that nobody's draw changes what is planned for the others
    portion = arms.ladder_probability.sum() / max((1.0 - arms.held_probability).sum(), 1.0)
    rest = planned & ~arms.on_ladder

    def parts(room: Ints) -> tuple[Ints, Ints]:
        """What of the capacities is for the product's plan, and what for the ladder's."""
        of_steps = (room * portion).astype(np.int64) if by_ladder is not None else np.zeros_like(room)
        return room - of_steps, of_steps

    def instead(mine: _Scores, allocation: Allocation, rows: Flags) -> tuple[Ints, Flags]:
        """What the plan would choose for each of ``rows``, had it to serve that one more, and whether that is sure."""
        usable = (allowed & mine.supported & layout.reachable[:, cell].T)[rows] & (np.nan_to_num(mine.worth[rows]) > 0)
        lost = layout.cell_prices(allocation.prices) if allocation.displaced is None else allocation.displaced
        net = np.where(usable, mine.worth[rows] - lost[:, cell[rows]].T, -np.inf)
        ranked = np.sort(np.column_stack([np.zeros(len(net)), net]), axis=1)
        best = np.where((net > 0).any(axis=1), net.argmax(axis=1), -1).astype(np.int64)
        lead = ranked[:, -1] - ranked[:, -2]
        is_sure = (lead > _TIE * np.maximum(1.0, np.abs(ranked[:, -1]))) & (allocation.displaced is not None)
        # whom no capacity holds back gets the best in any plan
        free = np.where(usable, lost[:, cell[rows]].T, 0.0).max(axis=1, initial=0.0) == 0.0
        return best, is_sure | free

    def greatest(mine: _Scores, rows: Flags, which: int) -> tuple[Ints, Flags, Allocation]:
        """The plan of ``rows`` within its part of what the draws leave, and what it would have chosen for the others.

        For a member whose draw took a place: with that place given back.
        """
        counts = parts(left)[which]
        allocation = solved(mine, rows, counts)
        answer, is_sure = np.full(len(people), -1, dtype=np.int64), np.ones(len(people), dtype=bool)
        answer[rows] = allocation.choice
        answer[~rows], is_sure[~rows] = instead(mine, allocation, ~rows)
        held_back = counts <= allocation.used
        alike: dict[tuple[int, ...], list[int]] = {}
        for row in np.flatnonzero(kept):
            if (layout.member[:, drawn[row], cell[row]] & held_back).any():
                alike.setdefault(given_back(int(row)), []).append(int(row))
        for room, members in alike.items():
            place = np.isin(np.arange(len(people)), members)
            if (parts(np.array(room))[which] != counts).any():
                answer[place], is_sure[place] = instead(mine, solved(mine, rows, parts(np.array(room))[which]), place)
        return answer, is_sure, allocation

    @functools.cache
    def of_cell(channel: int, where: int) -> tuple[int, ...]:
        return without(int(np.flatnonzero(kept & (drawn == channel) & (cell == where))[0]))

    def given_back(row: int) -> tuple[int, ...]:
        """What would be left had the member of ``row`` not been explored; alike for equal draws where all fit."""
        return without(row) if is_overflow.any() else of_cell(int(drawn[row]), int(cell[row]))

    @functools.cache
    def without(row: int) -> tuple[int, ...]:
        others = np.where(np.arange(len(drawn)) == row, -1, drawn)
        return tuple(int(count) for count in layout.counts - _keep(layout, cell, others, exploration.priority)[1])

    greedy, is_sure, allocation = greatest(scores, rest, 0)
    used = allocation.used + spent
    by_product, by_steps = greedy, greedy
    wanted = allowed & scores.supported & (np.nan_to_num(scores.worth) > 0)
    if by_ladder is not None:
        by_steps, is_sure_of_steps, ladder_plan = greatest(by_ladder, of_ladder, 1)
        is_sure = is_sure & (is_sure_of_steps | (arms.ladder_probability == 0.0))
        used = used + ladder_plan.used
        greedy = np.where(arms.on_ladder, by_steps, by_product)
        steps_wanted = allowed & by_ladder.supported & (np.nan_to_num(by_ladder.worth) > 0)
        wanted = np.where(arms.on_ladder[:, None], steps_wanted, wanted)
    choice = np.where(exploration.is_explored, np.where(kept, drawn, -1), np.where(arms.is_held, -1, greedy))
    propensity = _propensity(choice, by_product, by_steps, exploration, arms, share)
    propensity[is_overflow | ~is_sure] = np.nan
    price = layout.cell_prices(allocation.prices)[:, cell].T
    return _Plan(
        choice=choice,
        greedy=greedy,
        exploration=exploration,
        is_overflow=is_overflow,
        propensity=propensity,
        allocation=replace(allocation, choice=greedy, price_of_choice=price),
        used=used,
        allowed=allowed,
        wanted=wanted,
        arms=arms,
        exploration_cost=share
        * float((1.0 - arms.held_probability) @ (exploration.probability[:, : len(channels)] @ scores.cost)),
        exploration_most=most_cost if share > 0 else None,
    )


def _propensity(
    choice: npt.NDArray[np.int64],
    by_product: npt.NDArray[np.int64],
    by_ladder: npt.NDArray[np.int64],
    exploration: Exploration,
    arms: _Arms,
    share: float,
) -> Floats:
    """Probability of each member's ``choice`` (-1: none) over the draws of arm, exploration and action."""
    column = np.where(choice < 0, exploration.probability.shape[1] - 1, choice)
    drawn = share * exploration.probability[np.arange(len(choice)), column] * (1.0 - arms.held_probability)
    product = (1.0 - arms.held_probability - arms.ladder_probability) * (choice == by_product)
    planned = (1.0 - share) * (product + arms.ladder_probability * (choice == by_ladder))
    return np.asarray(drawn + planned + arms.held_probability * (choice < 0), dtype=np.float64)


def _keep(
    layout: Layout, cell: npt.NDArray[np.int64], drawn: npt.NDArray[np.int64], priority: Floats
) -> tuple[Flags, npt.NDArray[np.int64]]:
    """Draws that fit, by priority, and what they use of each capacity."""
    kept = drawn >= 0

    def drop(users: npt.NDArray[np.int64], excess: int) -> None:
        if excess > 0:
            kept[users[np.lexsort((users, priority[users]))][-excess:]] = False

    for position in np.flatnonzero(~layout.is_pool):
        users = np.flatnonzero(kept & layout.member[position][drawn, cell])
        drop(users, users.size - int(layout.counts[position]))
    counts = np.zeros(layout.shape, dtype=np.int64)
    np.add.at(counts, (drawn[kept], cell[kept]), 1)
    split = layout.serve(counts)
    room = split.sum(axis=0)
    for channel, zone in np.argwhere(layout.served & (counts > room)):
        users = np.flatnonzero(kept & (drawn == channel) & (cell == zone))
        drop(users, int(counts[channel, zone] - room[channel, zone]))
    spent = split.sum(axis=(1, 2))
    for position in np.flatnonzero(~layout.is_pool):
        spent[position] = int((kept & layout.member[position][drawn, cell]).sum())
    return kept, spent


def _assign(
    people: pd.DataFrame,
    plan: _Plan,
    scores: _Scores,
    channels: list[str],
    team: pd.DataFrame,
    familiar: pd.Series,
) -> pd.DataFrame:
    """collector_id and is_familiar for every member, empty where the action needs nobody."""
    result = pd.DataFrame(
        {"collector_id": pd.Series(None, index=people.index, dtype=object), "is_familiar": False}, index=people.index
    )
    by_person = [position for position, channel in enumerate(channels) if channel in COLLECTOR_CHANNELS]
    rows = np.flatnonzero(np.isin(plan.choice, by_person) & (plan.choice >= 0))
    contacts = pd.DataFrame(
        {
            "customer_id": people["customer_id"].to_numpy(dtype=object)[rows],
            "channel_code": np.array(channels, dtype=object)[plan.choice[rows]],
            "zone": people["zone"].to_numpy(dtype=object)[rows],
            "language_code": people["language_code"].to_numpy(dtype=object)[rows],
            "net_amount": np.nan_to_num(scores.worth[rows, plan.choice[rows]]),
        },
        index=people.index[rows],
    )
    done = assignment.assign(contacts, team, familiar)
    result.loc[contacts.index, "collector_id"] = done.collector_id
    result.loc[contacts.index, "is_familiar"] = done.is_familiar
    return result


def _decisions(
    people: pd.DataFrame,
    verdicts: pd.DataFrame,
    plan: _Plan,
    scores: _Scores,
    channels: list[str],
    assigned: pd.DataFrame,
    default_risk: pd.DataFrame | None,
    as_of: date,
) -> pd.DataFrame:
    size, width = len(people), len(channels)
    chosen = plan.choice >= 0
    at = np.arange(size) * width + np.maximum(plan.choice, 0)
    missing_time = np.datetime64("NaT")
    start = verdicts["window_start"].to_numpy()[at] if size else np.zeros(0, dtype="datetime64[us]")
    end = verdicts["window_end"].to_numpy()[at] if size else np.zeros(0, dtype="datetime64[us]")
    action = np.where(chosen, np.array(channels, dtype=object)[plan.choice], "none")
    gain = np.where(chosen, scores.gain[np.arange(size), plan.choice], np.nan)
    risk = _risk_of(people, default_risk)
    worth = np.where(chosen, np.nan_to_num(scores.worth[np.arange(size), plan.choice]), np.nan)
    return pd.DataFrame(
        {
            "as_of_date": pd.Series([as_of] * size, dtype=object),
            "customer_id": people["customer_id"].astype(object),
            "loan_id": people["loan_id"].astype(object),
            "action": pd.Series(action, dtype=object),
            "eligible": np.ones(size, dtype=bool),
            "blocked_by": pd.Series(_why_not(verdicts, plan, scores, width), dtype=object),
            "window_start": np.where(chosen, start, missing_time).astype("datetime64[us]"),
            "window_end": np.where(chosen, end, missing_time).astype("datetime64[us]"),
            "collector_id": assigned["collector_id"],
            "rank": _rank(people, action, assigned["collector_id"], worth),
            "arrears_amount": people["arrears_amount"].astype("float64"),
            "past_due_days": people["past_due_days"].astype("int64"),
            "default_probability": risk["default_probability"],
            "expected_gain_amount": gain,
            "contact_cost_amount": np.where(chosen, scores.cost[plan.choice], 0.0),
            "propensity": plan.propensity,
            "is_exploration": plan.exploration.is_explored,
            "reason_codes": pd.Series(
                _reasons(people, plan, scores, channels, assigned, risk["reason_codes"]), dtype=object
            ),
            "experiment_id": pd.Series(plan.arms.experiment_id, dtype=object),
            "arm_code": pd.Series(plan.arms.arm_code, dtype=object),
        },
        columns=list(DECISION_COLUMNS),
    )


def _risk_of(people: pd.DataFrame, default_risk: pd.DataFrame | None) -> pd.DataFrame:
    """Default probability and reason codes of each member's worst loan; of the main one if loans have no owner."""
    if default_risk is None:
        return pd.DataFrame({"default_probability": np.nan, "reason_codes": "[]"}, index=people.index)
    if default_risk["loan_id"].duplicated().any():
        raise RuleError("The default risk has a loan twice; give the rows of one as-of date only.")
    key = "customer_id" if "customer_id" in default_risk.columns else "loan_id"
    worst_first = default_risk.sort_values(["default_probability", "loan_id"], ascending=[False, True])
    found = worst_first.drop_duplicates(key).set_index(key).reindex(people[key])
    return pd.DataFrame(
        {
            "default_probability": found["default_probability"].to_numpy(dtype=float),
            "reason_codes": found["reason_codes"].fillna("[]").to_numpy(dtype=object),
        },
        index=people.index,
    )


def _rank(people: pd.DataFrame, action: npt.NDArray, collector: pd.Series, worth: Floats) -> pd.Series:
    """Place in the collector's list, or in the channel's for messages: greatest net value first, then customer_id."""
    owner = collector.where(collector.notna(), "channel " + pd.Series(action, index=people.index).astype(str))
    order = pd.DataFrame({"owner": owner.astype(str), "worth": -worth, "customer_id": people["customer_id"]})
    listed = order[action != "none"].sort_values(["owner", "worth", "customer_id"])
    rank = pd.Series(pd.NA, index=people.index, dtype="Int64")
    rank.loc[listed.index] = listed.groupby("owner").cumcount().to_numpy() + 1
    return rank


def _why_not(verdicts: pd.DataFrame, plan: _Plan, scores: _Scores, width: int) -> npt.NDArray[np.object_]:
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
    for row in np.flatnonzero(plan.arms.is_held):
        rules = json.loads(answer[row]) if not plan.allowed[row].any() else []
        answer[row] = as_json([*rules, f"experiment:{plan.arms.experiment_id[row]}:{HOLD_OUT}"])
    return answer


def _reasons(
    people: pd.DataFrame,
    plan: _Plan,
    scores: _Scores,
    channels: list[str],
    assigned: pd.DataFrame,
    risk_codes: pd.Series,
) -> npt.NDArray[np.object_]:
    """JSON list of reason codes: the decision's own for contacts, then those of the risk model."""
    size = len(people)
    chosen = plan.choice >= 0
    flags: list[tuple[str, Flags]] = []
    greedy = chosen & ~plan.exploration.is_explored & ~plan.arms.on_ladder
    flags.append(("EXPLORATION", chosen & plan.exploration.is_explored))
    if scores.is_model:
        for position, channel in enumerate(channels):
            here = greedy & (plan.choice == position)
            known = scores.gain[:, position][plan.allowed[:, position] & scores.supported[:, position]]
            if here.any() and known.size:
                high = scores.gain[:, position] >= np.quantile(known, _HIGH_GAIN_SHARE)
                flags.append((f"HIGH_GAIN_{channel.upper()}", here & high))
                flags.append(("BEST_CHANNEL", here & ~high))
        flags.append(("LADDER_STEP", chosen & ~plan.exploration.is_explored & plan.arms.on_ladder))
    else:
        flags.append(("LADDER_STEP", greedy))
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


def _number(people: pd.DataFrame, column: str) -> Floats:
    return pd.to_numeric(people[column]).to_numpy(dtype=float, na_value=np.nan)


def _details(
    people: pd.DataFrame, verdicts: pd.DataFrame, plan: _Plan, scores: _Scores, channels: list[str], as_of: date
) -> pd.DataFrame:
    size, width = len(people), len(channels)
    channel = np.tile(np.arange(width), size)

    def each(values: npt.NDArray) -> npt.NDArray:
        return np.repeat(values, width)

    money = np.isfinite(plan.allocation.price_of_choice.reshape(-1)) & scores.is_model
    probability = plan.exploration.probability[:, :width]
    return pd.DataFrame(
        {
            "as_of_date": pd.Series([as_of] * (size * width), dtype=object),
            "customer_id": verdicts["customer_id"],
            "loan_id": each(people["loan_id"].to_numpy(dtype=object)),
            "channel_code": verdicts["channel_code"],
            "zone": each(people["zone"].to_numpy(dtype=object)),
            "is_allowed": verdicts["is_allowed"],
            "blocked_by": verdicts["blocked_by"],
            "sources": verdicts["sources"],
            "earliest_permitted_at": verdicts["earliest_permitted_at"],
            "is_never": verdicts["is_never"],
            "gain_amount": scores.gain.reshape(-1),
            "cost_amount": scores.cost[channel],
            "net_amount": scores.gain.reshape(-1) - scores.cost[channel],
            "reach_probability": scores.reach.reshape(-1),
            "is_supported": scores.supported.reshape(-1) & scores.is_model,
            "price_amount": np.where(money, plan.allocation.price_of_choice.reshape(-1), np.nan),
            "greedy_action": each(plan.greedy) == channel,
            "explore_probability": probability.reshape(-1),
            "is_chosen": each(plan.choice) == channel,
            "contact_point_id": verdicts["contact_point_id"],
        },
        columns=list(DETAIL_COLUMNS),
    )


def _prices(offered: Sequence[Capacity], plan: _Plan, scores: _Scores, as_of: date) -> pd.DataFrame:
    rows = [
        {
            "as_of_date": as_of,
            "capacity_name": capacity.name,
            "channels": as_json(capacity.channels),
            "zone": capacity.zone,
            "capacity_count": capacity.count,
            "used_count": int(plan.used[position]),
            "price_amount": float(plan.allocation.prices[position]) if scores.is_model else np.nan,
        }
        for position, capacity in enumerate(offered)
    ]
    frame = pd.DataFrame(rows, columns=list(PRICE_COLUMNS))
    return frame.astype(
        {"capacity_name": object, "zone": object, "channels": object, "capacity_count": "int64", "used_count": "int64"}
    ).assign(price_amount=frame["price_amount"].astype("float64"))


def _summary(
    people: pd.DataFrame,
    plan: _Plan,
    scores: _Scores,
    channels: list[str],
    policies: PolicySet,
    team: pd.DataFrame,
    contacts: int,
    share: float,
) -> dict[str, Any]:
    """Figures of the run; money is None on the ladder, whose order of precedence has no unit.

    ``planned_value_amount`` (net), ``dual_bound_amount`` and ``gap_rate`` are of the plan over the members who were not
    drawn for exploration nor into another arm, with the capacity left for them; every other figure counts all members.
    """
    picked = np.arange(len(people)), plan.choice
    chosen = plan.choice >= 0
    explored = plan.exploration.is_explored
    gain = np.where(chosen, scores.gain[picked], 0.0) if len(people) else np.zeros(0)
    spent = float(np.where(chosen, scores.cost[plan.choice], 0.0).sum()) if len(people) else 0.0
    by_channel = {channel: int((plan.choice == position).sum()) for position, channel in enumerate(channels)}
    is_model = scores.is_model

    def money(value: float) -> float | None:
        return round(float(value), 2) if is_model else None

    return {
        "value_basis": "channel_model" if is_model else "ladder",
        "value_note": None
        if is_model
        else "The channel model is off: channels follow the written ladder by past-due days; gains are not estimated.",
        "eligible_count": len(people),
        "contactable_count": int(plan.allowed.any(axis=1).sum()),
        "contact_count": contacts,
        "contacts_by_channel": by_channel,
        "expected_recovery_amount": money(np.nansum(gain)),
        "expected_cost_amount": round(spent, 2),
        "planned_value_amount": money(plan.allocation.value),
        "dual_bound_amount": money(plan.allocation.dual_bound),
        "gap_rate": float(plan.allocation.gap) if is_model else None,
        "is_optimal": bool(plan.allocation.is_optimal),
        "exploration_share": share,
        "explored_count": int(explored.sum()),
        "explored_contact_count": int((explored & chosen).sum()),
        "exploration_expected_cost_amount": round(plan.exploration_cost, 2),
        "exploration_max_cost_amount": None if plan.exploration_most is None else round(plan.exploration_most, 2),
        "exploration_overflow_count": int(plan.is_overflow.sum()),
        "propensity_unknown_count": int(np.isnan(plan.propensity).sum()),
        "held_out_count": int(plan.arms.is_held.sum()),
        "ladder_arm_count": int(plan.arms.on_ladder.sum()),
        "collectors_at_work": len(team),
        "rules_in_force": [entry.rule.id for entry in policies.rules],
        "rules_not_enforced": [
            {"id": entry.id, "text": entry.text, "reason": entry.reason} for entry in policies.not_enforced
        ],
        "has_jurisdiction": policies.has_jurisdiction,
    }
