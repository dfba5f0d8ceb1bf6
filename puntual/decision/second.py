"""A second contact on the same day for members who have a first one, through another channel, from what is left.

A second pass, not a joint plan: nobody loses a first contact for somebody's second, and the evidence of the first ones
stays what it is. How far from the joint optimum it can be is told: the first contacts are the best by themselves, and
the second ones can be worth no more than the best plan of theirs with every capacity free (``most_lost``).
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from puntual.decision import assign as assignment
from puntual.decision.allocate import Allocation, allocate
from puntual.decision.bands import Bands
from puntual.decision.capacity import COLLECTOR_CHANNELS, ZONED_CHANNELS, Capacity, Layout
from puntual.decision.plan import Plan
from puntual.decision.policies import as_json
from puntual.decision.scores import Scores
from puntual.decision.tables import DECISION_COLUMNS

SECOND_COLUMNS = (*DECISION_COLUMNS, "contact_point_id")
SECOND_CONTACT = "SECOND_CONTACT"
_OF_A_CONTACT = ("action", "window_start", "window_end", "collector_id", "rank", "expected_gain_amount")

Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
Judge = Callable[[pd.DataFrame, pd.DataFrame | None], pd.DataFrame]
"""Verdicts of the rules for some members if these attempts (None: no more) had been made as well."""


@dataclass(frozen=True)
class Second:
    """``contacts``: one row per second contact, :data:`SECOND_COLUMNS`, by customer_id; ``expected_gain_amount``,
    ``provision_avoided_amount``, ``fee_amount`` and ``value_amount`` are discounted, ``propensity`` is NULL.
    ``used``: of each capacity. ``value``, ``most_lost``: in money; what they add, and how much more a joint plan of
    first and second contacts could add at most. ``ruled_out``: where the rules leave no second contact to anybody,
    those that a first contact sets against it, the most frequent first.
    """

    contacts: pd.DataFrame
    used: Ints
    value: float
    most_lost: float
    ruled_out: tuple[str, ...] = ()

    def summary(self) -> dict[str, Any]:
        """Figures of the run."""
        rows = self.contacts
        return {
            "second_contact_count": len(rows),
            "second_contacts_by_channel": {
                str(name): int(n) for name, n in rows["action"].value_counts().sort_index().items()
            },
            "second_value_amount": round(self.value, 2),
            "second_cost_amount": round(float(rows["contact_cost_amount"].sum()), 2),
            "second_most_lost_amount": round(self.most_lost, 2),
        }


def nobody(capacities: int) -> Second:
    """No second contacts."""
    return Second(pd.DataFrame(columns=list(SECOND_COLUMNS)), np.zeros(capacities, dtype=np.int64), 0.0, 0.0)


def second_contacts(
    people: pd.DataFrame,
    decisions: pd.DataFrame,
    plan: Plan,
    scores: Scores,
    offered: Sequence[Capacity],
    channels: Sequence[str],
    team: pd.DataFrame,
    assigned: pd.DataFrame,
    familiar: pd.Series,
    judge: Judge,
    bands: Callable[[pd.DataFrame, pd.DataFrame], Bands] | None,
    *,
    share: float,
    reached: bool,
) -> Second:
    """Second contacts of the day.

    1. For members with a first contact of the product's plan: not for who was drawn, held out or on the ladder.
    2. Through another channel; of two contacts at most one is a message. The rules must allow the second after the
       first, and the first after the second, for nobody knows which comes first: with ``reached`` as if the other had
       reached the member, else as an attempt, and then the second is a person's, who sees whether the first was
       answered.
    3. A member stands in one list: after a call or visit, another visit or call is the same collector's, who must do
       it, be of the zone and have room left, or it is not made.
    4. Worth ``share`` of its gain and of the provision that it avoids, less its whole cost, without a fee; only
       positive values, only from what capacity is left.

    Args:
        people: the members, row by row; ``zone`` is the place where rules of owners hold.
        decisions: their rows (:func:`puntual.decision.tables.decision_rows`), with hours and collectors.
        plan: by channel.
        scores: by channel.
        offered: capacities over channels.
        channels: names of the columns.
        team: roster with pools.
        assigned: collector_id of the first contacts.
        familiar: :func:`puntual.decision.assign.familiar_collectors`.
        judge: the contact rules of the day.
        bands: bands of hours for some members and their verdicts; None: there are none.
        share: part of its benefit that a second contact is taken to have.
        reached: what the rules take of the other contact.
    """
    is_first = (plan.choice >= 0) & ~plan.exploration.is_explored & ~plan.arms.is_held & ~plan.arms.on_ladder
    rows = np.flatnonzero(is_first)
    if not rows.size:
        return nobody(len(offered))
    mine = people.iloc[rows].reset_index(drop=True)
    first = plan.choice[rows]
    verdicts = judge(mine, attempts(decisions.iloc[rows], reached))
    width = len(channels)
    others = _other_channel(first, channels, reached)
    by_rules = verdicts["is_allowed"].to_numpy(dtype=bool).reshape(-1, width) & others
    discounted = _discounted(scores, rows, share)
    spent, rest = _left(offered, team, assigned, plan.used)
    had = assigned["collector_id"].iloc[rows].reset_index(drop=True)
    allowed = by_rules & _by_the_same(had, mine, spent, channels)

    def solved(open_to: Flags, counts: Ints) -> tuple[Allocation, Bands | None]:
        part = [replace(one, count=int(count)) for one, count in zip(offered, counts, strict=True)]
        hours = None
        worth, columns, group = discounted.worth, list(channels), None
        if bands is not None:
            hours = bands(mine, verdicts.assign(is_allowed=open_to.reshape(-1)))
            part, columns, group = hours.capacities(part), list(hours.names), hours.channel_of
            worth = hours.scores(discounted).worth + hours.preference(discounted)
            open_to = hours.allowed
        supported = discounted.supported if hours is None else discounted.supported[:, hours.channel_of]
        value = np.where(np.isfinite(worth), worth, -np.inf)
        zones = mine["zone"].to_numpy(dtype=object)
        return allocate(value, open_to & supported, part, channels=columns, zones=zones, group=group), hours

    allocation, hours = solved(allowed, rest)
    action = allocation.choice
    choice = action if hours is None else np.where(action >= 0, hours.channel_of[action], -1)
    timed = verdicts if hours is None else hours.hours(verdicts, action)
    found = np.flatnonzero(choice >= 0)
    most = _most(people, plan, scores, offered, channels, share)
    if not found.size:
        ruled = () if by_rules.any() else _set_against(judge(mine, None), verdicts, others.reshape(-1))
        return replace(nobody(len(offered)), most_lost=most, ruled_out=ruled)
    rowed = _rows(decisions.iloc[rows[found]], found, choice[found], timed, discounted, channels)
    # the first must be allowed after the second as well
    again = judge(mine.iloc[found].reset_index(drop=True), attempts(rowed, reached))
    still = again["is_allowed"].to_numpy(dtype=bool).reshape(-1, width)[np.arange(found.size), first[found]]
    if not still.any():
        of_first = np.zeros((found.size, width), dtype=bool)
        of_first[np.arange(found.size), first[found]] = True
        before = judge(mine.iloc[found].reset_index(drop=True), None)
        ruled = _set_against(before, again, of_first.reshape(-1))
        return replace(nobody(len(offered)), most_lost=most, ruled_out=ruled)
    found, rowed = found[still], rowed[still].reset_index(drop=True)
    kinds = None if hours is None else hours.action_of(action[found])
    on_people = [(one, int(left)) for one, left in zip(offered, rest, strict=True) if one.pools]
    rowed["collector_id"] = _collectors(
        rowed, mine.iloc[found], had.iloc[found], offered, channels, spent, familiar, kinds, on_people
    )
    listed = (~rowed["action"].isin(COLLECTOR_CHANNELS) | rowed["collector_id"].notna()).to_numpy(dtype=bool)
    found, rowed, kinds = found[listed], rowed[listed].reset_index(drop=True), None if kinds is None else kinds[listed]
    rowed["rank"] = _ranks(rowed, decisions)
    value = float(rowed["value_amount"].sum())
    used = _used(rowed, mine.iloc[found], offered, team, channels, kinds)
    return Second(rowed, used, value, max(most - value, 0.0))


def _set_against(before: pd.DataFrame, after: pd.DataFrame, cells: Flags) -> tuple[str, ...]:
    """Rules that block ``cells`` of ``after`` and did not in ``before``, by how many they block, then by name."""
    pairs = pd.DataFrame({"before": before["blocked_by"], "after": after["blocked_by"]})[cells]
    counted: Counter[str] = Counter()
    for (old, new), rows in pairs.value_counts().items():
        for name in set(json.loads(new)) - set(json.loads(old)):
            counted[name] += int(rows)
    return tuple(sorted(counted, key=lambda name: (-counted[name], name)))


def _most(
    people: pd.DataFrame, plan: Plan, scores: Scores, offered: Sequence[Capacity], channels: Sequence[str], share: float
) -> float:
    """What second contacts could be worth at most: everybody may have one, and every capacity is free but for hours."""
    everyone = _discounted(scores, np.arange(len(people)), share)
    free = [one for one in offered if not one.name.startswith("hours:")]
    value = np.where(np.isfinite(everyone.worth), everyone.worth, -np.inf)
    zones = people["zone"].to_numpy(dtype=object)
    return allocate(value, plan.allowed & everyone.supported, free, channels=channels, zones=zones).dual_bound


def attempts(contacts: pd.DataFrame, reached: bool) -> pd.DataFrame:
    """Contacts of a list as interactions, that reached the member (what they forbid at most) or did not."""
    return pd.DataFrame(
        {
            "interaction_id": "planned " + contacts["customer_id"].astype(str),
            "customer_id": contacts["customer_id"].to_numpy(dtype=object),
            "loan_id": contacts["loan_id"].to_numpy(dtype=object),
            "occurred_at": contacts["window_start"].to_numpy().astype("datetime64[us]"),
            "channel_code": contacts["action"].to_numpy(dtype=object),
            "direction_code": "outbound",
            "outcome_code": "right_party" if reached else "no_answer",
            "is_right_party": reached,
        }
    )


def with_attempts(interactions: pd.DataFrame, more: pd.DataFrame) -> pd.DataFrame:
    """``interactions`` and ``more``, with the columns of the former."""
    known = more[[name for name in more.columns if name in interactions.columns]]
    plain = interactions.astype(
        {name: object for name in known.columns if isinstance(interactions[name].dtype, pd.CategoricalDtype)}
    )
    return pd.concat([plain, known.reindex(columns=interactions.columns)], ignore_index=True)


def _other_channel(first: Ints, channels: Sequence[str], reached: bool) -> Flags:
    """Whether each channel may be the second beside each first one."""
    by_person = np.array([channel in COLLECTOR_CHANNELS for channel in channels], dtype=bool)
    allowed = (by_person[first][:, None] & reached) | by_person[None, :]
    allowed[np.arange(first.size), first] = False
    return np.asarray(allowed, dtype=bool)


def _discounted(scores: Scores, rows: Ints, share: float) -> Scores:
    # a fee is for one contact: the first one's
    benefit = (scores.gain[rows] + scores.provision[rows]) * share
    return replace(
        scores,
        gain=scores.gain[rows] * share,
        provision=scores.provision[rows] * share,
        fee=np.zeros_like(scores.fee[rows]),
        reach=scores.reach[rows],
        supported=scores.supported[rows],
        worth=benefit - scores.cost,
    )


def _left(
    offered: Sequence[Capacity], team: pd.DataFrame, assigned: pd.DataFrame, used: Ints
) -> tuple[pd.DataFrame, Ints]:
    """The team with what each collector can still take, and what is left of each capacity."""
    load = assigned["collector_id"].value_counts()
    room = team["daily_capacity"] - team["collector_id"].map(load).fillna(0).astype("int64")
    spent = team.assign(daily_capacity=room)
    by_pool = spent.groupby("pool")["daily_capacity"].sum()
    rest = np.array([one.count for one in offered], dtype=np.int64) - used
    for position, one in enumerate(offered):
        if one.kind == "pool":
            rest[position] = int(by_pool.get(one.name, 0))
        elif one.pools:
            mine = team.loc[team["pool"].isin(one.pools), "collector_id"]
            rest[position] = one.count - int(load.reindex(mine).fillna(0).sum())
    return spent[room > 0].reset_index(drop=True), np.maximum(rest, 0)


def _rows(
    first: pd.DataFrame, found: Ints, choice: Ints, verdicts: pd.DataFrame, scores: Scores, channels: Sequence[str]
) -> pd.DataFrame:
    """Rows of the second contacts, in the form of decisions; collector and rank are still those of the first."""
    at = found * len(channels) + choice
    pick = found, choice
    return first.assign(
        action=np.array(channels, dtype=object)[choice],
        window_start=verdicts["window_start"].to_numpy()[at].astype("datetime64[us]"),
        window_end=verdicts["window_end"].to_numpy()[at].astype("datetime64[us]"),
        expected_gain_amount=scores.gain[pick],
        provision_avoided_amount=scores.provision[pick],
        fee_amount=scores.fee[pick],
        chargeable_fee_amount=first["chargeable_fee_amount"] * 0.0,
        contact_cost_amount=scores.cost[choice],
        value_amount=scores.worth[pick],
        propensity=np.nan,
        reason_codes=as_json([SECOND_CONTACT]),
        contact_point_id=verdicts["contact_point_id"].to_numpy(dtype=object)[at],
    ).reset_index(drop=True)


def _by_the_same(had: pd.Series, people: pd.DataFrame, team: pd.DataFrame, channels: Sequence[str]) -> Flags:
    """Whether each channel can be the second, for who works the first: the collector's own other one, or a message.

    ``had``: collector_id of the first contact, row by row with ``people``; empty after a message, when anybody may.
    """
    allowed = np.ones((len(people), len(channels)), dtype=bool)
    person = pd.Index(team["collector_id"]).get_indexer(pd.Index(had))
    worked = had.notna().to_numpy(dtype=bool)
    does = np.zeros((len(team) + 1, len(channels)), dtype=bool)  # the last row: nobody with room left
    for position, skills in enumerate(team["channels"]):
        does[position] = [channel in skills for channel in channels]
    home = np.array([*team["zone"], None], dtype=object)[person]
    is_near = pd.isna(home) | (home == people["own_zone"].to_numpy(dtype=object))
    for column, channel in enumerate(channels):
        if channel in COLLECTOR_CHANNELS:
            able = does[person, column] & (is_near | (channel not in ZONED_CHANNELS))
            if "places" in team.columns:
                places = [set(mine) for mine in team["places"]] + [set()]
                at = people["zone"].to_numpy(dtype=object)
                able &= [(channel, key) in places[who] for who, key in zip(person, at, strict=True)]
            allowed[:, column] = ~worked | able
    return allowed


def _collectors(
    rows: pd.DataFrame,
    people: pd.DataFrame,
    had: pd.Series,
    offered: Sequence[Capacity],
    channels: Sequence[str],
    team: pd.DataFrame,
    familiar: pd.Series,
    kinds: npt.NDArray[np.object_] | None,
    limits: Sequence[tuple[Capacity, int]],
) -> pd.Series:
    """Collectors of the second contacts; empty for messages, and for calls and visits that nobody may take on.

    First those of who has the member's first contact today, by value as long as there is room; then the others, as
    many as fit what the people still can do. ``limits``: limits on people and what is left of them.
    """
    by_person = rows["action"].isin(COLLECTOR_CHANNELS).to_numpy(dtype=bool)
    again = by_person & had.notna().to_numpy(dtype=bool)
    owner = pd.Series(np.where(again, had.to_numpy(dtype=object), None), index=rows.index, dtype=object)
    table = pd.DataFrame({"who": owner, "value": -rows["value_amount"], "customer_id": rows["customer_id"]})[again]
    place = table.sort_values(["value", "customer_id"]).groupby("who").cumcount().reindex(rows.index)
    room = owner.map(team.set_index("collector_id")["daily_capacity"])
    owner = owner.where((place < room).to_numpy(dtype=bool), None)
    pool_of = team.set_index("collector_id")["pool"]
    on_people = []
    for one, left in limits:
        mine = owner.map(pool_of).isin(one.pools) & owner.notna()
        by_value = table[mine.reindex(table.index)].sort_values(["value", "customer_id"]).index
        owner[by_value[left:]] = None
        on_people.append(replace(one, count=left - min(left, len(by_value))))
    load = team["collector_id"].map(owner.value_counts()).fillna(0).astype("int64")
    rest = team.assign(daily_capacity=team["daily_capacity"] - load)
    rest = rest[rest["daily_capacity"] > 0].reset_index(drop=True)
    others = by_person & ~again
    if others.any():
        others = others & _fitting(rows, people, others, offered, channels, rest, on_people)
    contacts = pd.DataFrame(
        {
            "customer_id": rows["customer_id"],
            "channel_code": rows["action"],
            "zone": people["own_zone"].to_numpy(dtype=object),
            "language_code": people["language_code"].to_numpy(dtype=object),
            "net_amount": rows["value_amount"],
        }
    )
    if "places" in team.columns:
        contacts["place"] = people["zone"].to_numpy(dtype=object)
    if kinds is not None:
        contacts["action"] = kinds
    done = assignment.assign(contacts[others], rest, familiar, on_people=on_people)
    return owner.where(~others, done.collector_id.reindex(rows.index)).astype(object)


def _fitting(
    rows: pd.DataFrame,
    people: pd.DataFrame,
    which: Flags,
    offered: Sequence[Capacity],
    channels: Sequence[str],
    team: pd.DataFrame,
    on_people: list[Capacity],
) -> Flags:
    """The most valuable of the calls and visits ``which`` that ``team`` can do together within the limits on people."""
    units = team.groupby("pool")["daily_capacity"].sum()
    pools = [replace(one, count=int(units.get(one.name, 0))) for one in offered if one.kind == "pool"] + on_people
    column = pd.Index(channels).get_indexer(pd.Index(rows["action"]))
    mine = np.zeros((len(rows), len(channels)), dtype=bool)
    mine[np.flatnonzero(which), column[which]] = True
    worth = np.where(mine, rows["value_amount"].to_numpy(dtype=float)[:, None], -np.inf)
    zones = people["zone"].to_numpy(dtype=object)
    return np.asarray(allocate(worth, mine, pools, channels=channels, zones=zones).choice >= 0, dtype=bool)


def _ranks(rows: pd.DataFrame, decisions: pd.DataFrame) -> pd.Series:
    """Places after the first contacts of the same list, by value, then customer_id."""

    def list_of(frame: pd.DataFrame) -> pd.Series:
        return frame["collector_id"].where(frame["collector_id"].notna(), "channel " + frame["action"].astype(str))

    before = list_of(decisions[decisions["action"] != "none"]).value_counts()
    order = pd.DataFrame({"list": list_of(rows), "value": -rows["value_amount"], "customer_id": rows["customer_id"]})
    order = order.sort_values(["list", "value", "customer_id"])
    place = order.groupby("list").cumcount() + 1 + order["list"].map(before).fillna(0).astype("int64")
    return place.reindex(rows.index).astype("Int64")


def _used(
    rows: pd.DataFrame,
    people: pd.DataFrame,
    offered: Sequence[Capacity],
    team: pd.DataFrame,
    channels: Sequence[str],
    kinds: npt.NDArray[np.object_] | None,
) -> Ints:
    """Units of every capacity: of pools by who works them, of bands by their hours, of limits by their cells."""
    layout = Layout.of(offered, channels)
    zone = layout.zone_codes(people["zone"].to_numpy(dtype=object), len(people))
    channel = pd.Index(channels).get_indexer(pd.Index(rows["action"]))
    pool = rows["collector_id"].map(team.set_index("collector_id")["pool"]).to_numpy(dtype=object)
    used = layout.weight[:, channel, zone].sum(axis=1)
    for position, one in enumerate(offered):
        if one.kind == "pool":
            used[position] = int((pool == one.name).sum())
        elif one.pools:
            used[position] = int(np.isin(pool, one.pools).sum())
        elif one.name.startswith("hours:") and kinds is not None:
            used[position] = int((kinds == one.name.removeprefix("hours:")).sum())
    return np.asarray(used, dtype=np.int64)


def with_second_messages(decisions: pd.DataFrame, second: pd.DataFrame) -> pd.DataFrame:
    """``decisions`` as the campaigns see them: a member whose second contact is a message has that one."""
    messages = second[~second["action"].isin(COLLECTOR_CHANNELS)].set_index("customer_id")
    if messages.empty:
        return decisions
    changed = decisions.copy()
    mine = changed["customer_id"].isin(messages.index).to_numpy(dtype=bool)
    for name in _OF_A_CONTACT:
        changed.loc[mine, name] = changed.loc[mine, "customer_id"].map(messages[name]).to_numpy()
    return changed.astype({name: decisions[name].dtype for name in _OF_A_CONTACT})


def with_second_contacts(
    decisions: pd.DataFrame, details: pd.DataFrame, second: pd.DataFrame
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Decisions and details with the second contacts among them: one row per contact, for the lists."""
    if second.empty:
        return decisions, details
    rows = second[list(decisions.columns)].astype({name: kind for name, kind in decisions.dtypes.items()})
    keys = pd.MultiIndex.from_frame(second[["customer_id", "action"]])
    is_second = pd.MultiIndex.from_frame(details[["customer_id", "channel_code"]]).isin(keys)
    return pd.concat([decisions, rows], ignore_index=True), details.assign(
        is_chosen=details["is_chosen"].to_numpy(dtype=bool) | is_second
    )
