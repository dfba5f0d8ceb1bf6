"""Limits of the rules on a whole list: how many more members some channels may reach within 24 hours."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, timedelta

import pandas as pd

from puntual.decision.capacity import COLLECTOR_CHANNELS, Capacity, Cell
from puntual.decision.contact_events import end_of_day_utc
from puntual.decision.policies import PolicySet
from puntual.decision.rule_kinds import MaxUsersRule


def daily_room(
    daily_capacity: Mapping[str, int | None],
    interactions: pd.DataFrame,
    *,
    policies: PolicySet,
    as_of: date,
    timezone: str,
    planned: pd.DataFrame | None = None,
) -> dict[str, int | None]:
    """``daily_capacity`` by channel, tightened by the rules of kind ``max_users`` over one channel of messages.

    Whoever was reached from the day before ``as_of`` on may share 24 hours with a message of ``as_of``, whatever the
    hour of either: all of them are taken off the rule's number, and a member who was reached is not counted out when
    reached again. Who was to be reached on that day by a list whose outcome has not arrived counts as reached. Rules of
    several channels, or of people's channels: :func:`shared_limits`.

    Args:
        daily_capacity: contacts a day by channel; None is no limit of the institution's own.
        interactions: fct_interactions.
        policies: rules in force on ``as_of``.
        as_of: contact day.
        timezone: the institution's zone.
        planned: see ``ContactFacts``.
    """
    room = dict(daily_capacity)
    for rule, left in _left(interactions, planned, policies, as_of, timezone):
        if _is_of_one_channel(rule) and rule.channels[0] in room:
            own = room[rule.channels[0]]
            room[rule.channels[0]] = left if own is None else min(own, left)
    return room


def shared_limits(
    interactions: pd.DataFrame,
    *,
    policies: PolicySet,
    channels: Sequence[str],
    as_of: date,
    timezone: str,
    planned: pd.DataFrame | None = None,
) -> list[Capacity]:
    """One limit (``rule:<id>``) over all ``channels`` of each ``max_users`` rule that :func:`daily_room` leaves out.

    So the channels share what the rule leaves, and a rule on calls or visits holds beside the collectors' capacity. A
    member with two contacts of the day counts twice: on the safe side of the rule.
    """
    found = []
    for rule, left in _left(interactions, planned, policies, as_of, timezone):
        cells = tuple(Cell(channel) for channel in channels if channel in rule.channels)
        if cells and not _is_of_one_channel(rule):
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
