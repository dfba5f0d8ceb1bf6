"""Past contacts as arrays: whose they are, on which day of the person's own calendar, and about which debt.

Days are counted as whole numbers since 1970-01-01.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np
import numpy.typing as npt
import pandas as pd

from puntual.decision.policies import PolicySet
from puntual.decision.rule_kinds import CHANNELS, CooloffRule, MaxCountRule, MinCountByRule, MinSpacingRule
from puntual.errors import RuleError

Days = npt.NDArray[np.int64]
Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

EPOCH = date(1970, 1, 1)
FREE = np.int64(-(2**40))
NEVER = np.int64(2**40)
_MONDAY = 3  # 1970-01-01 was a Thursday: (day + 3) % 7 is 0 on Mondays
_MARGIN = 2  # days are cut in UTC first and on the person's calendar afterwards


def day_number(day: date) -> int:
    """Days since 1970-01-01."""
    return (day - EPOCH).days


def days_of(values: pd.Series) -> Days:
    """Whole days since 1970 of dates (date objects or timestamps); FREE where missing."""
    stamps = pd.to_datetime(values).to_numpy().astype("datetime64[D]")
    return np.where(np.isnat(stamps), FREE, stamps.astype(np.int64))


def microseconds(values: pd.Series) -> Ints:
    """Microseconds since 1970; the smallest integer where missing."""
    return pd.to_datetime(values).to_numpy().astype("datetime64[us]").astype(np.int64)


def monday_of(day: Days | int) -> Days:
    """The Monday of the ISO week of each day."""
    return np.asarray(day - (day + _MONDAY) % 7, dtype=np.int64)


def end_of_day_utc(day: date, timezone: str) -> pd.Timestamp:
    """First instant after ``day`` in ``timezone``, as UTC without zone."""
    local = pd.Timestamp(day + timedelta(days=1)).tz_localize(timezone, ambiguous=True, nonexistent="shift_forward")
    return local.tz_convert("UTC").tz_localize(None)


def positions(values: pd.Series, index: pd.Index) -> Ints:
    """Place of each value in ``index``, -1 where it has none; each category of a categorical is looked up once."""
    if isinstance(values.dtype, pd.CategoricalDtype):
        known = np.append(index.get_indexer(pd.Index(values.cat.categories)), -1)
        return known[values.cat.codes.to_numpy()].astype(np.int64)
    return index.get_indexer(pd.Index(values)).astype(np.int64)


def latest(owner: Ints, value: Ints, members: int) -> Ints:
    """The largest value of each member; FREE where there is none. ``owner`` -1 belongs to nobody."""
    newest = np.full(members, FREE)
    known = owner >= 0
    np.maximum.at(newest, owner[known], value[known])
    return newest


def is_zone(name: object) -> bool:
    """Whether ``name`` is a time zone."""
    try:
        ZoneInfo(str(name))
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True


@dataclass(frozen=True)
class Zones:
    """Time zone of each member: position in ``names``; -1 where it is not known."""

    names: list[str]
    code: Ints
    institution: str

    @classmethod
    def of(cls, customers: pd.DataFrame, policies: PolicySet, institution: str) -> Zones:
        """Zones of ``customers`` (column timezone); who has none gets that of the country's law, if it gives one."""
        fallback = policies.fixed_timezone
        given = customers["timezone"] if "timezone" in customers.columns else pd.Series(None, index=customers.index)
        codes, found = pd.factorize(given.astype(object), use_na_sentinel=True)
        names: list[str] = []
        translate = []
        for name in found:
            translate.append(len(names) if is_zone(name) else -1)
            if is_zone(name):
                names.append(str(name))
        missing = -1
        if fallback is not None:
            if fallback not in names:
                names.append(fallback)
            missing = names.index(fallback)
        code = np.array([*translate, missing], dtype=np.int64)[codes]
        return cls(names, code, institution)

    def local_days(self, instants: pd.Series, owner: Ints) -> Days:
        """Calendar day of UTC instants in the zone of the member who owns each; of the institution where unknown."""
        result = np.full(len(instants), FREE)
        stamps = pd.DatetimeIndex(instants)
        zone = self.code[owner]
        for position, name in [*enumerate(self.names), (-1, self.institution)]:
            rows = np.flatnonzero(zone == position)
            if rows.size:
                local = stamps[rows].tz_localize("UTC").tz_convert(name).tz_localize(None)
                result[rows] = local.to_numpy().astype("datetime64[D]").astype(np.int64)
        return result


@dataclass(frozen=True)
class Events:
    """Outbound attempts of the members under review, newest first within each member.

    ``is_other_debt``: it was about another debt than the one of the day's contact.
    """

    customer: Ints
    channel: Ints
    day: Days
    is_right_party: Flags
    is_other_debt: Flags

    def through(self, channels: Sequence[str]) -> Flags:
        """Which attempts went through these channels."""
        return np.isin(self.channel, [CHANNELS.index(channel) for channel in channels])

    def nth_newest(self, n: int, members: int, keep: Flags) -> Days:
        """Day of each member's n-th newest attempt among those kept; FREE where there are fewer."""
        customer, day = self.customer[keep], self.day[keep]
        result = np.full(members, FREE)
        if customer.size < n:
            return result
        starts = np.flatnonzero(np.r_[True, customer[1:] != customer[:-1]])
        ends = np.r_[starts[1:], customer.size]
        enough = starts + n - 1 < ends
        at = starts[enough] + n - 1
        result[customer[at]] = day[at]
        return result


def lookback_days(policies: PolicySet) -> int:
    """Days of past contacts that the rules look at. Opt-outs have no end: all of them are needed, however old."""
    days = [7]
    for entry in policies.rules:
        rule = entry.rule
        if isinstance(rule, MaxCountRule):
            days.append(rule.days)
        elif isinstance(rule, MinSpacingRule | CooloffRule | MinCountByRule):
            days.append((rule.days or 0) + 1)
    return max(days)


def recent_attempts(
    interactions: pd.DataFrame,
    planned: pd.DataFrame | None,
    members: pd.Index,
    zones: Zones,
    as_of: date,
    days: int,
    debt: pd.Series | None = None,
) -> Events:
    """Attempts of ``members`` in the last ``days`` days, and planned ones that nothing confirms yet.

    Args:
        interactions: fct_interactions.
        planned: see ``ContactFacts``; only days before ``as_of`` count.
        members: the members, in the order of the result's positions.
        zones: of the members.
        as_of: contact day; attempts of the day itself are included.
        days: how far back.
        debt: loan of the day's contact by member; None: not known, and every attempt is about it.

    Raises:
        RuleError: an attempt went through a channel that the rules do not know.
    """
    instant = interactions["occurred_at"].to_numpy().astype("datetime64[us]")
    since, until = np.datetime64(as_of, "D"), np.datetime64(as_of, "D") + _MARGIN
    recent = (instant >= since - (days + _MARGIN)) & (instant < until)
    rows = np.flatnonzero(recent & interactions["direction_code"].eq("outbound").to_numpy(dtype=bool))
    taken = interactions.iloc[rows]
    owner = positions(taken["customer_id"], members)
    taken, owner = taken[owner >= 0], owner[owner >= 0]
    channel = _channel_codes(taken["channel_code"])
    day = zones.local_days(taken["occurred_at"], owner)
    moment = microseconds(taken["occurred_at"])
    right_party = taken["is_right_party"].to_numpy(dtype=bool)
    other = _is_other_debt(taken, owner, debt)
    if planned is not None and len(planned):
        who = positions(planned["customer_id"], members)
        at = days_of(planned["planned_for"])
        mine = (who >= 0) & (at < day_number(as_of)) & (at >= day_number(as_of) - days)
        plan, who, at = planned[mine], who[mine], at[mine]
        code = _channel_codes(plan["channel_code"])
        done = pd.MultiIndex.from_arrays([owner, channel, day])
        is_open = ~pd.MultiIndex.from_arrays([who, code, at]).isin(done)
        extra = _is_other_debt(plan, who, debt)
        owner, channel = np.append(owner, who[is_open]), np.append(channel, code[is_open])
        day = np.append(day, at[is_open])
        moment = np.append(moment, at[is_open] * 86_400_000_000)
        right_party = np.append(right_party, np.zeros(int(is_open.sum()), dtype=bool))
        other = np.append(other, extra[is_open])
    keep = np.flatnonzero(day <= day_number(as_of))
    # planned ones have no time of day: the order of days comes first
    order = keep[np.lexsort((-moment[keep], -day[keep], owner[keep]))]
    return Events(owner[order], channel[order], day[order], right_party[order], other[order])


def _channel_codes(values: pd.Series) -> Ints:
    code = positions(values, pd.Index(CHANNELS))
    if (code < 0).any():
        strange = sorted(set(values[code < 0].astype(str)))
        raise RuleError(f"Past contacts came through channels without rules: {strange}; known: {', '.join(CHANNELS)}")
    return code


def _is_other_debt(events: pd.DataFrame, owner: Ints, debt: pd.Series | None) -> Flags:
    if debt is None or "loan_id" not in events.columns:
        return np.zeros(len(events), dtype=bool)
    about = events["loan_id"].astype(object).to_numpy()
    mine = debt.astype(object).to_numpy()[owner]
    return np.asarray(~pd.isna(about) & ~pd.isna(mine) & (about != mine), dtype=bool)
