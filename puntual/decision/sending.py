"""What may be sent in a day: a channel's limit and money in contacts, and the limits of the rules on a whole list."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, timedelta

import pandas as pd

from puntual.decision.capacity import COLLECTOR_CHANNELS, Capacity, Cell
from puntual.decision.contact_events import end_of_day_utc
from puntual.decision.policies import PolicySet
from puntual.decision.rule_kinds import MaxUsersRule

MOST_CONTACTS = 1_000_000_000
"""As many as anything counts; what money buys of a contact that costs next to nothing is bounded by it."""


def contacts_a_day(limit: int | None, money: float | None, cost: float) -> int | None:
    """The most contacts of a channel in a day by its limit and by its ``money``, one contact costing ``cost``.

    All contacts of a channel are taken to cost alike (a text message billed by segment: as the longest), so that money
    is a number of contacts; the smaller of the two holds, None is no limit.

    >>> contacts_a_day(None, 30, 0.06), contacts_a_day(400, 30, 0.06), contacts_a_day(None, 0.30, 3 * 0.03)
    (500, 400, 3)
    """
    if money is None or cost == 0:
        return limit
    paid = math.floor(round(min(money / cost, MOST_CONTACTS), 6))
    return paid if limit is None else min(paid, limit)


def shared_limits(
    interactions: pd.DataFrame,
    *,
    policies: PolicySet,
    channels: Sequence[str],
    as_of: date,
    timezone: str,
    planned: pd.DataFrame | None = None,
    daily: Mapping[str, int | None] | None = None,
) -> list[Capacity]:
    """One limit (``rule:<id>``) over the channels of each ``max_users`` rule, which share what it leaves.

    1. Whoever was reached from the day before ``as_of`` on may share 24 hours with a message of ``as_of``, whatever the
       hour of either: all of them are taken off the rule's number, and a member who was reached is not counted out when
       reached again. Who was to be reached on that day by a list whose outcome has not arrived counts as reached.
    2. A rule on calls or visits holds beside the collectors' capacity.
    3. A member with two contacts of the day counts twice: on the safe side of the rule.
    4. A rule over one channel of messages adds nothing where the channel's own limit is as tight, and is left out.

    Args:
        interactions: fct_interactions.
        policies: rules in force on ``as_of``.
        channels: channels offered.
        as_of: contact day.
        timezone: the institution's zone.
        planned: see ``ContactFacts``.
        daily: contacts a day by channel, the institution's own limits; None or absent is no limit.
    """
    found = []
    for rule, left in _left(interactions, planned, policies, as_of, timezone):
        cells = tuple(Cell(channel) for channel in channels if channel in rule.channels)
        own = (daily or {}).get(rule.channels[0]) if _is_of_one_channel(rule) else None
        if cells and (own is None or own > left):
            found.append(Capacity(f"rule:{rule.id}", cells, left))
    return found


def _is_of_one_channel(rule: MaxUsersRule) -> bool:
    return len(rule.channels) == 1 and rule.channels[0] not in COLLECTOR_CHANNELS


def _left(
    interactions: pd.DataFrame, planned: pd.DataFrame | None, policies: PolicySet, as_of: date, timezone: str
) -> Iterator[tuple[MaxUsersRule, int]]:
    """Each rule, and how many more members it lets be reached."""
    since = end_of_day_utc(as_of - timedelta(days=2), timezone)
    is_recent = interactions["direction_code"].eq("outbound") & (interactions["occurred_at"] >= since)
    recent = interactions.loc[is_recent.to_numpy(dtype=bool), ["customer_id", "channel_code"]].astype(object)
    if planned is not None and len(planned):
        day = pd.to_datetime(planned["planned_for"])
        last = (day >= pd.Timestamp(as_of - timedelta(days=1))) & (day < pd.Timestamp(as_of))
        awaited = planned.loc[last.to_numpy(dtype=bool), ["customer_id", "channel_code"]].astype(object)
        recent = pd.concat([recent, awaited], ignore_index=True)
    for _, entry in policies.of_kind("max_users"):
        rule = entry.rule
        assert isinstance(rule, MaxUsersRule)
        reached = recent.loc[recent["channel_code"].isin(rule.channels).to_numpy(dtype=bool), "customer_id"]
        yield rule, max(rule.n - int(reached.nunique()), 0)
