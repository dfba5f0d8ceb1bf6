"""Duties to contact: rules that ask for a contact by a day. They come first in the allocation and lift no limit."""

from __future__ import annotations

import json
from datetime import date, timedelta
from typing import Any

import numpy as np
import pandas as pd

from puntual.decision.contact_events import FREE, Days, Zones, day_number, days_of, positions, recent_attempts
from puntual.decision.contact_hours import Calendar, Concerned
from puntual.decision.holiday_calendar import HolidayCalendar
from puntual.decision.policies import PolicySet, as_json
from puntual.decision.rule_kinds import MinCountByRule

OWED_COLUMNS = ("customer_id", "rule_id", "due_on", "channels", "is_last_chance")
MISSED_COLUMNS = ("customer_id", "due_date")


def missed_due_dates(features: pd.DataFrame, as_of: date) -> pd.DataFrame:
    """The oldest missed due date of each member in arrears: ``as_of`` less the past-due days.

    One row per member with past-due days; columns customer_id, due_date (datetime). Where every missed instalment is
    at hand, give those to :func:`owed` instead: an older open one hides the newer ones here.
    """
    days = pd.to_numeric(features["past_due_days"])
    late = features[(days > 0).to_numpy(dtype=bool)]
    due = pd.Timestamp(as_of) - pd.to_timedelta(pd.to_numeric(late["past_due_days"]).astype(int), unit="D")
    return pd.DataFrame({"customer_id": late["customer_id"].to_numpy(), "due_date": due.to_numpy()})


def owed(
    missed: pd.DataFrame,
    customers: pd.DataFrame,
    interactions: pd.DataFrame,
    *,
    policies: PolicySet,
    holidays: HolidayCalendar,
    as_of: date,
    timezone: str,
) -> pd.DataFrame:
    """Contacts that a rule asks for and that are not made yet: one row per member and rule, the most urgent due date.

    Columns :data:`OWED_COLUMNS`: ``due_on``, the last day on which the duty can be met (a date: the last open day of
    any of the channels within the rule's days); ``channels``, a JSON list; ``is_last_chance``: ``due_on`` is ``as_of``.

    1. A due date missed on day d is answered by n contacts on the days d + 1 to d + the rule's days, both included, on
       the person's calendar; planned contacts do not count, for they may not happen.
    2. Due dates whose time is over are not owed any more: see :func:`overdue`.
    3. If no day was open between today and the end, ``due_on`` is the end itself: the duty cannot be met, and
       :func:`infeasible` says so.

    Args:
        missed: customer_id, due_date: due dates that passed unpaid; several a member are possible.
        customers: customer_id, timezone, province of the members who may be contacted; others are left out.
        interactions: fct_interactions.
        policies: rules in force on ``as_of``.
        holidays: calendar of the country.
        as_of: contact day.
        timezone: the institution's zone.
    """
    return _judge(missed, customers, interactions, policies, holidays, as_of, timezone, is_over=False)


def overdue(
    missed: pd.DataFrame,
    customers: pd.DataFrame,
    interactions: pd.DataFrame,
    *,
    policies: PolicySet,
    holidays: HolidayCalendar,
    as_of: date,
    timezone: str,
) -> pd.DataFrame:
    """Duties whose last day was yesterday and that nobody met; columns and arguments as in :func:`owed`.

    Each due date is reported on one day, the first on which it is too late: an alarm, not a list that grows.
    """
    return _judge(missed, customers, interactions, policies, holidays, as_of, timezone, is_over=True)


def infeasible(duties: pd.DataFrame, verdicts: pd.DataFrame, *, zones: pd.Series, timezone: str) -> pd.DataFrame:
    """The rows of ``duties`` that no permitted contact can meet any more: the other rules block all until it is late.

    Args:
        duties: from :func:`owed`.
        verdicts: from ``rules.evaluate`` for the same day.
        zones: time zone by customer_id; missing ones are read as ``timezone``.
        timezone: the institution's zone.
    """
    if duties.empty:
        return duties
    best: list[bool] = []
    earliest = verdicts.set_index(["customer_id", "channel_code"])["earliest_permitted_at"]
    local: dict[tuple[Any, str], Any] = {}
    wanted = earliest.loc[earliest.index.get_level_values(0).isin(set(duties["customer_id"]))]
    for (member, channel), moment in wanted.items():
        if pd.notna(moment):
            zone = zones.get(member)
            zone = zone if isinstance(zone, str) and zone else timezone
            local[(member, str(channel))] = moment.tz_localize("UTC").tz_convert(zone).date()
    for member, due_on, listed in zip(duties["customer_id"], duties["due_on"], duties["channels"], strict=True):
        channels = json.loads(listed)
        days = [local[(member, channel)] for channel in channels if (member, channel) in local]
        best.append(not days or min(days) > due_on)
    return duties[np.array(best, dtype=bool)].reset_index(drop=True)


def _judge(
    missed: pd.DataFrame,
    customers: pd.DataFrame,
    interactions: pd.DataFrame,
    policies: PolicySet,
    holidays: HolidayCalendar,
    as_of: date,
    timezone: str,
    *,
    is_over: bool,
) -> pd.DataFrame:
    rules = [entry.rule for _, entry in policies.of_kind("min_count_by")]
    if not rules or missed.empty:
        return pd.DataFrame(columns=list(OWED_COLUMNS))
    today = day_number(as_of)
    members = pd.Index(customers["customer_id"])
    zones = Zones.of(customers, policies, timezone)
    concerned = Concerned(customers, zones)
    owner, due = positions(missed["customer_id"], members), days_of(missed["due_date"])
    longest = max(rule.days for rule in rules if isinstance(rule, MinCountByRule))
    begin = as_of - timedelta(days=1) if is_over else as_of
    events = recent_attempts(interactions, None, members, zones, as_of, longest + 1)
    found = []
    for rule in rules:
        assert isinstance(rule, MinCountByRule)
        inside = concerned.by(rule.where)
        end = due + rule.days
        running = end == today - 1 if is_over else (due < today) & (end >= today)
        mine = np.flatnonzero((owner >= 0) & (due != FREE) & running)
        if inside is not None:
            mine = mine[inside[owner[mine]]]
        counted = events.through(rule.channels)
        if rule.counts == "effective":
            counted &= events.is_right_party
        made = _made(events.customer[counted], events.day[counted], owner[mine], due[mine], end[mine])
        mine = mine[made < rule.n]
        calendar = Calendar.of(policies, concerned, rule.channels, holidays, begin, rule.days + 2)
        last = _last_open(calendar, owner[mine], end[mine], day_number(begin))
        rows = pd.DataFrame(
            {
                "customer_id": members.to_numpy(dtype=object)[owner[mine]],
                "rule_id": rule.id,
                "due_on": last,
                "channels": as_json(rule.channels),
                "is_last_chance": last == today,
            }
        )
        found.append(rows.sort_values(["customer_id", "due_on"], kind="stable").drop_duplicates("customer_id"))
    duties = pd.concat(found, ignore_index=True).sort_values(["customer_id", "rule_id"], ignore_index=True)
    duties["due_on"] = pd.to_datetime(duties["due_on"].astype("int64"), unit="D").dt.date
    return duties[list(OWED_COLUMNS)]


def _made(customer: Days, day: Days, owner: Days, due: Days, end: Days) -> Days:
    """Contacts of each owner after its due day, up to the end of the rule's days."""
    span = np.int64(2**21)
    keys = np.sort(customer * span + day)
    upper = np.searchsorted(keys, owner * span + end, side="right")
    return np.asarray(upper - np.searchsorted(keys, owner * span + due, side="right"), dtype=np.int64)


def _last_open(calendar: Calendar, owner: Days, end: Days, begin: int) -> Days:
    """The last day from ``begin`` to ``end`` with an open hour in any channel; the end itself where there is none."""
    is_open = (calendar.start >= 0).any(axis=1)
    days = np.where(is_open, np.arange(is_open.shape[1]), -1)
    last = np.maximum.accumulate(days, axis=1)
    offset = end - begin
    found = last[calendar.group[owner], offset]
    return np.where(found >= 0, begin + found, end)
