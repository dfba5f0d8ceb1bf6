"""Duties to contact: rules that ask for a contact by a day. They come first in the allocation and lift no limit.

What became of each of them on a day, and who must hear of it: :mod:`puntual.decision.duty_alarms`.
"""

from __future__ import annotations

import json
from datetime import date, timedelta

import numpy as np
import numpy.typing as npt
import pandas as pd

from puntual.decision.contact_events import (
    FREE,
    Days,
    Zones,
    day_number,
    days_of,
    is_zone,
    positions,
    recent_attempts,
)
from puntual.decision.contact_hours import Calendar, Concerned
from puntual.decision.holiday_calendar import HolidayCalendar
from puntual.decision.policies import PolicySet, as_json
from puntual.decision.rule_kinds import MinCountByRule
from puntual.errors import RuleError

OWED_COLUMNS = ("customer_id", "rule_id", "due_date", "due_on", "channels", "is_last_chance")

Flags = npt.NDArray[np.bool_]


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

    Columns :data:`OWED_COLUMNS`: ``due_date``, the due date that was missed (a date); ``due_on``, the last day on which
    the duty can be met (a date: the last open day of any of the channels within the rule's days); ``channels``, a JSON
    list; ``is_last_chance``: ``due_on`` is ``as_of``.

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
    return _judge(missed, customers, interactions, policies, holidays, as_of, timezone, late_since=None)


def overdue(
    missed: pd.DataFrame,
    customers: pd.DataFrame,
    interactions: pd.DataFrame,
    *,
    policies: PolicySet,
    holidays: HolidayCalendar,
    as_of: date,
    timezone: str,
    since: date | None = None,
) -> pd.DataFrame:
    """Duties whose time ended unmet since the last run; columns as in :func:`owed`.

    Each due date is reported on one day, the first run after its time is over: an alarm, not a list that grows.

    Args:
        missed: as in :func:`owed`.
        customers: as in :func:`owed`.
        interactions: fct_interactions.
        policies: rules in force on ``as_of``.
        holidays: calendar of the country.
        as_of: contact day.
        timezone: the institution's zone.
        since: the day of the run before, which reported what had ended before it; None: the day before ``as_of``.

    Raises:
        RuleError: ``since`` is not before ``as_of``.
    """
    since = since or as_of - timedelta(days=1)
    if since >= as_of:
        raise RuleError(f"What is overdue on {as_of} is counted from an earlier day, not from {since}.")
    return _judge(missed, customers, interactions, policies, holidays, as_of, timezone, late_since=since)


def infeasible(duties: pd.DataFrame, verdicts: pd.DataFrame, *, zones: pd.Series, timezone: str) -> Flags:
    """Which rows of ``duties`` no permitted contact can meet any more: the other rules block all until it is late.

    Args:
        duties: from :func:`owed`.
        verdicts: from ``rules.evaluate`` for the same day.
        zones: time zone by customer_id; missing ones are read as ``timezone``.
        timezone: the institution's zone.
    """
    answer = np.ones(len(duties), dtype=bool)
    mine = verdicts[verdicts["customer_id"].isin(duties["customer_id"]) & verdicts["earliest_permitted_at"].notna()]
    zone = mine["customer_id"].map(zones)
    zone = zone.where(zone.map(is_zone), timezone)
    day = pd.Series(0, index=mine.index, dtype="int64")
    for name in sorted(set(zone)):
        local = mine.loc[zone == name, "earliest_permitted_at"].dt.tz_localize("UTC").dt.tz_convert(name)
        day[zone == name] = days_of(local.dt.tz_localize(None))
    wanted = days_of(duties["due_on"])
    for listed in sorted(set(duties["channels"])):
        first = day[mine["channel_code"].isin(json.loads(listed))].groupby(mine["customer_id"]).min()
        rows = (duties["channels"] == listed).to_numpy(dtype=bool)
        earliest = duties.loc[rows, "customer_id"].map(first).to_numpy(dtype=float, na_value=np.inf)
        answer[rows] = earliest > wanted[rows]
    return answer


def _judge(
    missed: pd.DataFrame,
    customers: pd.DataFrame,
    interactions: pd.DataFrame,
    policies: PolicySet,
    holidays: HolidayCalendar,
    as_of: date,
    timezone: str,
    *,
    late_since: date | None,
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
    # the last open day of what is over may lie before the run that did not see it end
    begin = as_of if late_since is None else late_since - timedelta(days=longest)
    span = (as_of - begin).days
    events = recent_attempts(interactions, None, members, zones, as_of, span + longest + 1)
    found = []
    for rule in rules:
        assert isinstance(rule, MinCountByRule)
        inside = concerned.by(rule.where)
        end = due + rule.days
        if late_since is None:
            running = (due < today) & (end >= today)
        else:
            running = (end >= day_number(late_since)) & (end < today)
        mine = np.flatnonzero((owner >= 0) & (due != FREE) & running)
        if inside is not None:
            mine = mine[inside[owner[mine]]]
        counted = events.through(rule.channels)
        if rule.counts == "effective":
            counted &= events.is_right_party
        made = _made(events.customer[counted], events.day[counted], owner[mine], due[mine], end[mine])
        mine = mine[made < rule.n]
        calendar = Calendar.of(policies, concerned, rule.channels, holidays, begin, span + rule.days + 2)
        last = _last_open(calendar, owner[mine], end[mine], day_number(begin))
        rows = pd.DataFrame(
            {
                "customer_id": members.to_numpy(dtype=object)[owner[mine]],
                "rule_id": rule.id,
                "due_date": due[mine],
                "due_on": last,
                "channels": as_json(rule.channels),
                "is_last_chance": last == today,
            }
        )
        rows = rows.sort_values(["customer_id", "due_on", "due_date"], kind="stable")
        found.append(rows if late_since is not None else rows.drop_duplicates("customer_id"))
    duties = pd.concat(found, ignore_index=True).sort_values(["customer_id", "rule_id", "due_date"], ignore_index=True)
    for name in ("due_date", "due_on"):
        duties[name] = pd.to_datetime(duties[name].astype("int64"), unit="D").dt.date
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
