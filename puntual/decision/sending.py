"""Limits of the rules on a whole list: how many more members a channel may reach within 24 hours."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta

import pandas as pd

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
) -> dict[str, int | None]:
    """``daily_capacity`` by channel, tightened by the rules of kind ``max_users``.

    Whoever was reached from the day before ``as_of`` on may share 24 hours with a message of ``as_of``, whatever the
    hour of either: all of them are taken off the rule's number, and a member who was reached is not counted out when
    reached again. A rule of several channels leaves its room to each: the checker looks at them together.

    Args:
        daily_capacity: contacts a day by channel; None is no limit of the institution's own.
        interactions: fct_interactions.
        policies: rules in force on ``as_of``.
        as_of: contact day.
        timezone: the institution's zone.
    """
    room = dict(daily_capacity)
    since = end_of_day_utc(as_of - timedelta(days=2), timezone)
    recent = interactions[
        (interactions["direction_code"].eq("outbound") & (interactions["occurred_at"] >= since)).to_numpy(dtype=bool)
    ]
    for _, entry in policies.of_kind("max_users"):
        rule = entry.rule
        assert isinstance(rule, MaxUsersRule)
        reached = recent.loc[recent["channel_code"].isin(rule.channels).to_numpy(dtype=bool), "customer_id"]
        left = max(rule.n - int(pd.Series(reached.unique()).size), 0)
        for channel in rule.channels:
            if channel in room:
                own = room[channel]
                room[channel] = left if own is None else min(own, left)
    return room
