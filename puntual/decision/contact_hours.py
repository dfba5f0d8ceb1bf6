"""Whom a rule concerns, and the hours in which every window rule that concerns a member is open, day by day."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
import numpy.typing as npt
import pandas as pd

from puntual.decision.contact_events import Days, Flags, Ints, Zones
from puntual.decision.holiday_calendar import HolidayCalendar
from puntual.decision.policies import PolicySet
from puntual.decision.rule_kinds import Where, WindowRule, plain


class Concerned:
    """Which members a rule concerns, by its ``where``. Unknown provinces and zones are concerned."""

    def __init__(self, customers: pd.DataFrame, zones: Zones) -> None:
        self.members = len(customers)
        self._zones = zones
        given = customers["province"] if "province" in customers.columns else pd.Series(None, index=customers.index)
        self._code, found = pd.factorize(given.astype(object), use_na_sentinel=True)
        self._province = [plain(name) for name in found]
        self._known: dict[Where, Flags] = {}

    def by(self, where: Where | None) -> Flags | None:
        """Flags of the members whom it concerns; None: all of them."""
        if where is None:
            return None
        if where not in self._known:
            flags = np.ones(self.members, dtype=bool)
            if where.province is not None:
                wanted = {plain(name) for name in where.province}
                inside = np.array([not name or name in wanted for name in self._province] + [True], dtype=bool)
                flags &= inside[self._code]
            if where.timezone is not None:
                inside = np.array([name in where.timezone for name in self._zones.names] + [True], dtype=bool)
                flags &= inside[self._zones.code]
            self._known[where] = flags
        return self._known[where]


@dataclass(frozen=True)
class Calendar:
    """Open hours by group of members, channel and day from the contact day on; minutes since local midnight.

    ``start`` and ``end`` are -1 where closed. ``next_open``: offset of the next open day from each on, -1: none.
    ``closed_today``: the rules that close the contact day, by group and channel.
    """

    group: Ints
    start: Ints
    end: Ints
    next_open: Ints
    closed_today: dict[tuple[int, int], list[int]]

    @classmethod
    def of(
        cls,
        policies: PolicySet,
        concerned: Concerned,
        channels: Sequence[str],
        holidays: HolidayCalendar,
        as_of: date,
        length: int,
    ) -> Calendar:
        """Hours of ``length`` days. Members whom the same window rules concern share a group."""
        rules = [(index, entry.rule) for index, entry in policies.of_kind("window")]
        local = [(index, rule) for index, rule in rules if rule.where is not None]
        group, patterns = _groups(concerned, [rule.where for _, rule in local])
        shape = (len(patterns), len(channels), length)
        start, end = np.full(shape, -1, dtype=np.int64), np.full(shape, -1, dtype=np.int64)
        closed_today: dict[tuple[int, int], list[int]] = {}
        for number, pattern in enumerate(patterns):
            away = {index for (index, _), inside in zip(local, pattern, strict=True) if not inside}
            for position, channel in enumerate(channels):
                mine = [
                    (index, rule)
                    for index, rule in rules
                    if isinstance(rule, WindowRule) and channel in rule.channels and index not in away
                ]
                cache: dict[tuple[int, bool], tuple[int, int]] = {}
                for offset in range(length):
                    day = as_of + timedelta(days=offset)
                    key = (day.weekday(), holidays.is_blocked(day))
                    if key not in cache:
                        cache[key] = _longest([_spans(rule, *key) for _, rule in mine])
                    start[number, position, offset], end[number, position, offset] = cache[key]
                today = (as_of.weekday(), holidays.is_blocked(as_of))
                if length and start[number, position, 0] < 0:
                    shut = [index for index, rule in mine if not _spans(rule, *today)]
                    closed_today[(number, position)] = shut or [index for index, _ in mine]
        next_open = np.full((*shape[:2], length + 1), -1, dtype=np.int64)
        for offset in range(length - 1, -1, -1):
            next_open[..., offset] = np.where(start[..., offset] >= 0, offset, next_open[..., offset + 1])
        return cls(group, start, end, next_open, closed_today)


def _groups(concerned: Concerned, wheres: Sequence[Where | None]) -> tuple[Ints, list[tuple[bool, ...]]]:
    flags = [concerned.by(where) for where in wheres]
    if not flags:
        return np.zeros(concerned.members, dtype=np.int64), [()]
    table = np.array([np.ones(concerned.members, dtype=bool) if flag is None else flag for flag in flags])
    patterns, group = np.unique(table, axis=1, return_inverse=True)
    found = [tuple(bool(value) for value in column) for column in patterns.T]
    return group.reshape(-1).astype(np.int64), found or [(True,) * len(flags)]


def _spans(rule: WindowRule, weekday: int, is_holiday: bool) -> list[tuple[int, int]]:
    return [] if is_holiday and rule.holidays == "blocked" else rule.spans(weekday)


def _longest(windows: list[list[tuple[int, int]]]) -> tuple[int, int]:
    """The longest span inside every list of spans, the earlier of equals; (-1, -1) if there is none."""
    common = [(0, 24 * 60)]
    for spans in windows:
        common = [
            (max(first, start), min(last, end))
            for first, last in common
            for start, end in spans
            if max(first, start) < min(last, end)
        ]
    return max(common, key=lambda span: (span[1] - span[0], -span[0]), default=(-1, -1))


def to_utc(zone: Ints, zones: Zones, day: Days, minute: Ints) -> npt.NDArray[np.datetime64]:
    """UTC instants of local days (since 1970) and minutes; NaT where the minute or the zone is missing."""
    result = np.full(day.size, np.datetime64("NaT"), dtype="datetime64[us]")
    for position, name in enumerate(zones.names):
        rows = np.flatnonzero((zone == position) & (minute >= 0))
        if rows.size == 0:
            continue
        local_minutes, inverse = np.unique(day[rows] * 1440 + minute[rows], return_inverse=True)
        local = pd.DatetimeIndex(local_minutes.astype("datetime64[m]").astype("datetime64[us]"))
        utc = local.tz_localize(name, ambiguous=np.ones(len(local), dtype=bool), nonexistent="shift_forward")
        result[rows] = utc.tz_convert("UTC").tz_localize(None).to_numpy().astype("datetime64[us]")[inverse]
    return result
