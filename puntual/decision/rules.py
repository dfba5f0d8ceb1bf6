"""Contact rules applied to people: for every member and channel, allowed today or blocked, by what and until when.

Set-based: every rule becomes one array of release days per member, whatever the number of members or past contacts.
What a rule says is data (``policies.py``); the finished list is checked again by ``checker.py``, which shares no code
with this module.

Days are counted as whole numbers since 1970-01-01. A rule blocks while its release day lies after the contact day; the
release day is the first day on which the rule would allow contact if nothing else happened.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np
import numpy.typing as npt
import pandas as pd

from puntual.decision.holiday_calendar import HolidayCalendar
from puntual.decision.policies import (
    CHANNELS,
    CooloffRule,
    ForbidRule,
    KnownStatusRule,
    MaxCountRule,
    MinAmountRule,
    MinSpacingRule,
    PolicySet,
    RequireRule,
    SingleChannelRule,
    WindowRule,
    as_json,
)
from puntual.errors import RuleError

Days = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

EPOCH = date(1970, 1, 1)
FREE = np.int64(-(2**40))
NEVER = np.int64(2**40)
_MONDAY = 3  # 1970-01-01 was a Thursday: (day + 3) % 7 is 0 on Mondays
_SEARCH_DAYS = 400
_COMPLAINTS = ("complaint", "dispute")
_WORD_BITS = 63
_NO_POINT = np.int64(-1)


@dataclass(frozen=True)
class _Events:
    """Outbound attempts of the members under review, newest first within each member."""

    customer: npt.NDArray[np.int64]
    channel: npt.NDArray[np.int64]
    day: Days
    instant: npt.NDArray[np.int64]
    is_right_party: Flags

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


def evaluate(
    customers: pd.DataFrame,
    contact_points: pd.DataFrame,
    interactions: pd.DataFrame,
    promises: pd.DataFrame,
    payments: pd.DataFrame,
    *,
    policies: PolicySet,
    holidays: HolidayCalendar,
    as_of: date,
    timezone: str,
    channels: Sequence[str],
    promise_grace_days: int = 2,
) -> pd.DataFrame:
    """Verdict of the contact rules on contact day ``as_of``: one row per member and channel, members in input order.

    Columns: customer_id, channel_code, is_allowed, blocked_by (JSON list of every rule that blocks), sources (theirs),
    window_start, window_end (the contact hours of ``as_of`` in UTC, NaT when blocked), earliest_permitted_at (UTC; the
    window start when allowed), is_never (nothing known will lift the block), contact_point_id (the one to use, None
    when no point passes).

    1. Attempts are outbound interactions up to the end of ``as_of``, on the calendar of the person's time zone; those
       of the contact day itself count. Inbound ones never do.
    2. Unknown is blocked: status, consent, validity, time zone where the law follows the person, holidays of the year,
       a country without a policy.
    3. A person has one cap however many loans; promises and payments of any of their loans count.
    4. ``earliest_permitted_at`` assumes that nothing else happens; a status or a refusal has no known end.

    Args:
        customers: customer_id (once each), customer_status_code, timezone, collectable_amount.
        contact_points: rows of dim_contact_points; ``consent_at`` (UTC), if there, lifts an earlier opt-out.
        interactions: rows of fct_interactions; occurred_at in UTC.
        promises: rows of fct_promises with promise_status_code at the end of ``as_of``.
        payments: rows of fct_payments.
        policies: rules in force on ``as_of``.
        holidays: calendar of the country.
        as_of: contact day.
        timezone: the institution's zone.
        channels: channels to judge, in the order of the result.
        promise_grace_days: whole days after a promise's due date before it counts as broken.

    Raises:
        RuleError: a member appears twice, a channel is unknown, or no policy says how a channel reaches anyone.
    """
    unknown = [channel for channel in channels if channel not in CHANNELS]
    if unknown:
        raise RuleError(f"No contact rules are known for the channels {unknown}; known: {', '.join(CHANNELS)}")
    members = pd.Index(customers["customer_id"])
    if not members.is_unique:
        repeated = members[members.duplicated()][0]
        raise RuleError(f"The member {repeated} appears twice among those to be decided; one row per member is needed.")
    board = _Board(policies, len(members), list(channels), _day(as_of))
    zones = _Zones.of(customers, policies, timezone)
    events = _recent_attempts(interactions, members, zones, policies, as_of)

    _block_status(board, customers)
    _block_counts(board, events)
    _block_spacing(board, events)
    _block_single_channel(board, events)
    _block_cooloffs(board, events, interactions, promises, payments, members, zones, promise_grace_days)
    points = _block_contact_points(board, contact_points, interactions, members, as_of, timezone)
    calendar = _Calendar.of(board, holidays, as_of)
    _block_windows(board, zones, calendar)
    return _verdicts(board, zones, calendar, members, points, contact_points)


class _Board:
    """Which rules block which member and channel, and the day on which the last of them lets go."""

    def __init__(self, policies: PolicySet, members: int, channels: list[str], today: int) -> None:
        self.policies = policies
        self.members = members
        self.channels = channels
        self.today = today
        extra = [] if policies.has_jurisdiction else [policies.no_jurisdiction_id]
        self.ids = [entry.rule.id for entry in policies.rules] + extra
        self.words = len(self.ids) // _WORD_BITS + 1
        self.mask = np.zeros((self.words, len(channels), members), dtype=np.int64)
        self.release = np.full((len(channels), members), FREE)

    def block(self, rule: int, channels: Sequence[str], release: Days) -> None:
        """Block ``channels`` by rule number ``rule`` for the members whose release day is after today."""
        late = release > self.today
        if not late.any():
            return
        bit = np.where(late, np.int64(1) << np.int64(rule % _WORD_BITS), np.int64(0))
        for position, channel in enumerate(self.channels):
            if channel in channels:
                self.mask[rule // _WORD_BITS, position] |= bit
                np.maximum(self.release[position], np.where(late, release, FREE), out=self.release[position])

    def flag(self, rule: int, position: int, blocked: Flags) -> None:
        """Mark a rule without touching the release day (hours have their own calendar)."""
        self.mask[rule // _WORD_BITS, position] |= np.where(
            blocked, np.int64(1) << np.int64(rule % _WORD_BITS), np.int64(0)
        )


@dataclass(frozen=True)
class _Zones:
    """Time zone of each member: position in ``names``; -1 where it is not known."""

    names: list[str]
    code: npt.NDArray[np.int64]
    institution: str

    @classmethod
    def of(cls, customers: pd.DataFrame, policies: PolicySet, institution: str) -> _Zones:
        fallback = policies.fixed_timezone
        given = customers["timezone"] if "timezone" in customers.columns else pd.Series(None, index=customers.index)
        codes, found = pd.factorize(given.astype(object), use_na_sentinel=True)
        names: list[str] = []
        translate = []
        for name in found:
            translate.append(len(names) if _is_zone(name) else -1)
            if _is_zone(name):
                names.append(str(name))
        missing = -1
        if fallback is not None:
            if fallback not in names:
                names.append(fallback)
            missing = names.index(fallback)
        code = np.array([*translate, missing], dtype=np.int64)[codes]
        return cls(names, code, institution)

    def groups(self) -> list[tuple[str, Flags]]:
        """(zone, members in it); people of unknown zone are counted on the institution's calendar."""
        groups = [(name, self.code == position) for position, name in enumerate(self.names)]
        return [*groups, (self.institution, self.code == -1)]


def _is_zone(name: object) -> bool:
    try:
        ZoneInfo(str(name))
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True


def _day(day: date) -> int:
    return (day - EPOCH).days


def _days_of(values: pd.Series) -> Days:
    """Whole days since 1970 of dates (date objects or timestamps); FREE where missing."""
    stamps = pd.to_datetime(values).to_numpy().astype("datetime64[D]")
    return np.where(np.isnat(stamps), FREE, stamps.astype(np.int64))


def _end_of_day_utc(day: date, timezone: str) -> pd.Timestamp:
    """First instant after ``day`` in ``timezone``, as UTC without zone."""
    local = pd.Timestamp(day + timedelta(days=1)).tz_localize(timezone, ambiguous=True, nonexistent="shift_forward")
    return local.tz_convert("UTC").tz_localize(None)


def lookback_days(policies: PolicySet) -> int:
    """Days of past contacts that the rules look at. Opt-outs have no end: all of them are needed, however old."""
    days = [7]
    for entry in policies.rules:
        rule = entry.rule
        if isinstance(rule, MaxCountRule):
            days.append(rule.days)
        elif isinstance(rule, MinSpacingRule | CooloffRule):
            days.append((rule.days or 0) + 1)
    return max(days)


def _local_days(instants: pd.Series, owner: npt.NDArray[np.int64], zones: _Zones) -> Days:
    """Calendar day of UTC instants in the zone of the member that owns each."""
    result = np.full(len(instants), FREE)
    stamps = pd.DatetimeIndex(instants)
    for name, members in zones.groups():
        rows = members[owner]
        if rows.any():
            local = stamps[rows].tz_localize("UTC").tz_convert(name).tz_localize(None)
            result[rows] = local.to_numpy().astype("datetime64[D]").astype(np.int64)
    return result


def _recent_attempts(
    interactions: pd.DataFrame, members: pd.Index, zones: _Zones, policies: PolicySet, as_of: date
) -> _Events:
    occurred = interactions["occurred_at"]
    # two days of margin: the day is cut in UTC here and on the person's calendar below
    since = pd.Timestamp(as_of) - pd.Timedelta(days=lookback_days(policies) + 2)
    recent = interactions[(occurred >= since) & (occurred < pd.Timestamp(as_of) + pd.Timedelta(days=2))]
    recent = recent[recent["direction_code"] == "outbound"]
    owner = members.get_indexer(pd.Index(recent["customer_id"]))
    channel = pd.Index(CHANNELS).get_indexer(pd.Index(recent["channel_code"]))
    if (channel[owner >= 0] < 0).any():
        strange = sorted(set(recent["channel_code"][(channel < 0) & (owner >= 0)].astype(str)))
        raise RuleError(f"Past contacts came through channels without rules: {strange}; known: {', '.join(CHANNELS)}")
    mine = owner >= 0
    recent, owner, channel = recent[mine], owner[mine], channel[mine]
    day = _local_days(recent["occurred_at"], owner, zones)
    instant = recent["occurred_at"].to_numpy().astype("datetime64[us]").astype(np.int64)
    keep = day <= _day(as_of)
    order = np.flatnonzero(keep)[np.lexsort((-instant[keep], owner[keep]))]
    return _Events(
        customer=owner[order].astype(np.int64),
        channel=channel[order].astype(np.int64),
        day=day[order],
        instant=instant[order],
        is_right_party=recent["is_right_party"].to_numpy(dtype=bool)[order],
    )


def _through(events: _Events, channels: Sequence[str]) -> Flags:
    return np.isin(events.channel, [CHANNELS.index(channel) for channel in channels])


def _next_monday(day: Days | int) -> Days:
    return np.asarray(day - (day + _MONDAY) % 7 + 7, dtype=np.int64)


def _block_status(board: _Board, customers: pd.DataFrame) -> None:
    status = customers["customer_status_code"].astype(object)
    for index, entry in enumerate(board.policies.rules):
        rule = entry.rule
        if isinstance(rule, KnownStatusRule):
            blocked = ~status.isin(rule.statuses).to_numpy()
        elif isinstance(rule, ForbidRule):
            blocked = (
                np.ones(board.members, dtype=bool)
                if rule.status is None
                else status.eq(rule.status).to_numpy(dtype=bool)
            )
        elif isinstance(rule, MinAmountRule):
            owed = pd.to_numeric(customers["collectable_amount"]).to_numpy(dtype=float)
            blocked = ~(np.round(owed, 2) >= rule.amount)  # a missing amount does not pass
        else:
            continue
        board.block(index, rule.channels, np.where(blocked, NEVER, FREE))
    if not board.policies.has_jurisdiction:
        board.block(len(board.ids) - 1, CHANNELS, np.full(board.members, NEVER))


def _block_counts(board: _Board, events: _Events) -> None:
    for index, entry in board.policies.of_kind("max_count"):
        rule = entry.rule
        assert isinstance(rule, MaxCountRule)
        groups = [rule.channels] if rule.across == "together" else [(channel,) for channel in rule.channels]
        for group in groups:
            counted = _through(events, group)
            if rule.counts == "effective":
                counted &= events.is_right_party
            last = events.nth_newest(rule.n, board.members, counted)
            release = _next_monday(last) if rule.window == "iso_week" else last + rule.days
            board.block(index, group, np.where(last == FREE, FREE, release))


def _block_spacing(board: _Board, events: _Events) -> None:
    for index, entry in board.policies.of_kind("min_spacing"):
        rule = entry.rule
        assert isinstance(rule, MinSpacingRule)
        last = events.nth_newest(1, board.members, _through(events, rule.channels))
        board.block(index, rule.channels, _released_after(last, rule.days, rule.day_of_event_counts))


def _released_after(event: Days, days: int, day_of_event_counts: bool) -> Days:
    return np.where(event == FREE, FREE, event + days + (0 if day_of_event_counts else 1))


def _block_single_channel(board: _Board, events: _Events) -> None:
    monday = board.today - (board.today + _MONDAY) % 7
    for index, entry in board.policies.of_kind("single_channel"):
        rule = entry.rule
        assert isinstance(rule, SingleChannelRule)
        this_week = np.flatnonzero(events.is_right_party & (events.day >= monday))
        held_by = np.full(board.members, -1, dtype=np.int64)
        held_by[events.customer[this_week]] = events.channel[
            this_week
        ]  # newest first, so the first one is written last
        for channel in set(rule.channels) & set(board.channels):
            blocked = (held_by >= 0) & (held_by != CHANNELS.index(channel))
            board.block(index, [channel], np.where(blocked, _next_monday(board.today), FREE))


def _latest(owner: npt.NDArray[np.int64], day: Days, members: int) -> Days:
    newest = np.full(members, FREE)
    known = owner >= 0
    np.maximum.at(newest, owner[known], day[known])
    return newest


def _block_cooloffs(
    board: _Board,
    events: _Events,
    interactions: pd.DataFrame,
    promises: pd.DataFrame,
    payments: pd.DataFrame,
    members: pd.Index,
    zones: _Zones,
    promise_grace_days: int,
) -> None:
    for index, entry in board.policies.of_kind("cooloff"):
        rule = entry.rule
        assert isinstance(rule, CooloffRule)
        if rule.event == "promise_open":
            running = promises[promises["promise_status_code"] == "open"]
            owner = members.get_indexer(pd.Index(running["customer_id"]))
            due = _latest(owner, _days_of(running["due_date"]), board.members)
            release = np.where(due == FREE, FREE, due + promise_grace_days + 1)
        else:
            assert rule.days is not None
            if rule.event == "payment":
                event = _last_payment(payments, members, board)
            elif rule.event == "right_party_contact":
                event = events.nth_newest(1, board.members, events.is_right_party)
            else:
                event = _last_complaint(interactions, members, zones, board, rule.days)
            release = _released_after(event, rule.days, rule.day_of_event_counts)
        board.block(index, rule.channels, release)


def _last_payment(payments: pd.DataFrame, members: pd.Index, board: _Board) -> Days:
    """Newest day of a payment that still stands; one that was reversed by today is none."""
    until_today = payments[_days_of(payments["paid_date"]) <= board.today]
    is_reversal = until_today["is_reversal"].to_numpy(dtype=bool)
    undone = until_today["reverses_payment_id"][is_reversal]
    standing = until_today[~is_reversal & ~until_today["payment_id"].isin(undone).to_numpy()]
    owner = members.get_indexer(pd.Index(standing["customer_id"]))
    return _latest(owner, _days_of(standing["paid_date"]), board.members)


def _last_complaint(interactions: pd.DataFrame, members: pd.Index, zones: _Zones, board: _Board, days: int) -> Days:
    """Newest day of a complaint or dispute, whoever called whom."""
    complaints = interactions[interactions["outcome_code"].isin(_COMPLAINTS)]
    since = pd.Timestamp(EPOCH) + pd.Timedelta(days=board.today - days - 3)
    complaints = complaints[complaints["occurred_at"] >= since]
    owner = members.get_indexer(pd.Index(complaints["customer_id"]))
    complaints, owner = complaints[owner >= 0], owner[owner >= 0]
    day = _local_days(complaints["occurred_at"], owner, zones)
    return _latest(owner[day <= board.today], day[day <= board.today], board.members)


def _block_contact_points(
    board: _Board,
    contact_points: pd.DataFrame,
    interactions: pd.DataFrame,
    members: pd.Index,
    as_of: date,
    timezone: str,
) -> npt.NDArray[np.int64]:
    """Block what no contact point supports; returns the row of the point to use per channel and member, or -1."""
    owner = members.get_indexer(pd.Index(contact_points["customer_id"]))
    updated = contact_points["updated_at"].to_numpy().astype("datetime64[us]").astype(np.int64)
    known = np.flatnonzero(owner >= 0)
    rank_of_id = np.argsort(np.argsort(contact_points["contact_point_id"].astype(str).to_numpy(), kind="stable"))
    # numpy's "not a time" is the smallest integer, so an unknown update comes last
    order = known[np.lexsort((rank_of_id[known], -(updated[known] // 2), owner[known]))]
    points = contact_points.iloc[order]
    owner = owner[order]

    kind = points["kind_code"].astype(object).to_numpy()
    has_whatsapp = points["has_whatsapp"].eq(True).to_numpy(dtype=bool)
    day_over = _end_of_day_utc(as_of, timezone)
    opted_out = pd.to_datetime(points["opted_out_at"])
    consent_at = pd.to_datetime(points["consent_at"]) if "consent_at" in points.columns else None
    is_out = opted_out.lt(day_over)
    if consent_at is not None:
        is_out &= ~(consent_at.gt(opted_out) & consent_at.lt(day_over))
    consent = points["has_consent"]
    passes = {
        "valid": points["is_valid"].eq(True).to_numpy(dtype=bool),
        "consent": consent.eq(True).to_numpy(dtype=bool),
        "consent_not_refused": ~consent.eq(False).to_numpy(dtype=bool),
    }
    refusals = interactions[(interactions["outcome_code"] == "opt_out") & (interactions["occurred_at"] < day_over)]

    requirements = [(index, entry.rule) for index, entry in board.policies.of_kind("require")]
    chosen = np.full((len(board.channels), board.members), _NO_POINT)
    for position, channel in enumerate(board.channels):
        mine = [(index, rule) for index, rule in requirements if channel in rule.channels]
        kinds = [
            (index, rule) for index, rule in mine if isinstance(rule, RequireRule) and rule.what == "contact_point"
        ]
        if not kinds:
            raise RuleError(f"No policy says through which contact points the channel {channel} reaches a member.")
        preference = _preference(kinds, channel, kind, has_whatsapp)
        of_kind = preference < np.iinfo(np.int64).max
        reachable = np.zeros(board.members, dtype=bool)
        reachable[owner[of_kind]] = True
        for index, _ in kinds:
            board.block(index, [channel], np.where(reachable, FREE, NEVER))

        out_here = is_out.to_numpy(dtype=bool) | _refused(refusals, channel, members, owner, consent_at, day_over)
        all_pass = of_kind.copy()
        checks: list[tuple[int, Flags]] = []
        for index, rule in mine:
            assert isinstance(rule, RequireRule)
            if rule.what == "contact_point":
                continue
            good = ~out_here if rule.what == "not_opted_out" else passes[rule.what]
            checks.append((index, good))
            all_pass &= good
        usable = np.zeros(board.members, dtype=bool)
        usable[owner[all_pass]] = True
        any_check_failed_alone = np.zeros(board.members, dtype=bool)
        failures = []
        for index, good in checks:
            some_pass = np.zeros(board.members, dtype=bool)
            some_pass[owner[of_kind & good]] = True
            some_fail = np.zeros(board.members, dtype=bool)
            some_fail[owner[of_kind & ~good]] = True
            alone = reachable & ~usable & ~some_pass
            any_check_failed_alone |= alone
            failures.append((index, alone, some_fail))
        for index, alone, some_fail in failures:
            # no point passes the check; or each check has a point of its own and none passes all: name every failed one
            jointly = reachable & ~usable & ~any_check_failed_alone & some_fail
            board.block(index, [channel], np.where(alone | jointly, NEVER, FREE))
        for place in sorted(set(preference[all_pass].tolist()), reverse=True):
            rows = np.flatnonzero(all_pass & (preference == place))[::-1]
            chosen[position, owner[rows]] = order[rows]
    return chosen


def _preference(
    kinds: list[tuple[int, RequireRule]], channel: str, kind: npt.NDArray[np.object_], has_whatsapp: Flags
) -> npt.NDArray[np.int64]:
    """Place of each point in the order of kinds of ``channel`` (the last rule's order); the largest number: none."""
    none = np.iinfo(np.int64).max
    place = np.zeros(kind.size, dtype=np.int64)
    for _, rule in kinds:
        assert rule.point_kinds is not None
        mine = np.full(kind.size, none)
        for rank, wanted in enumerate(rule.point_kinds[channel]):  # type: ignore[index]
            fits = (kind == "mobile") & has_whatsapp if wanted == "mobile_with_whatsapp" else kind == wanted
            mine[fits & (mine == none)] = rank
        place = np.where((place == none) | (mine == none), none, mine)
    return place


def _refused(
    refusals: pd.DataFrame,
    channel: str,
    members: pd.Index,
    owner: npt.NDArray[np.int64],
    consent_at: pd.Series | None,
    day_over: pd.Timestamp,
) -> Flags:
    """Points of members who opted out through ``channel``: it does not say of which number, so of all of them."""
    here = refusals[refusals["channel_code"] == channel]
    person = members.get_indexer(pd.Index(here["customer_id"]))
    instant = here["occurred_at"].to_numpy().astype("datetime64[us]").astype(np.int64)
    newest = _latest(person, instant, len(members))
    refused = newest[owner] != FREE
    if consent_at is not None:
        given = consent_at.where(consent_at < day_over).to_numpy().astype("datetime64[us]")
        refused &= ~(~np.isnat(given) & (given.astype(np.int64) > newest[owner]))
    return refused


@dataclass(frozen=True)
class _Calendar:
    """Open hours by channel and day from the contact day on; minutes since local midnight, -1 where closed."""

    start: npt.NDArray[np.int64]
    end: npt.NDArray[np.int64]
    next_open: npt.NDArray[np.int64]
    closed_today: dict[int, list[int]]

    @classmethod
    def of(cls, board: _Board, holidays: HolidayCalendar, as_of: date) -> _Calendar:
        finite = board.release[board.release < NEVER]
        furthest = int(max(finite.max(initial=FREE) - board.today, 0))
        length = min(furthest, 20 * 366) + _SEARCH_DAYS
        rules = [(index, entry.rule) for index, entry in board.policies.of_kind("window")]
        start = np.full((len(board.channels), length), -1, dtype=np.int64)
        end = np.full((len(board.channels), length), -1, dtype=np.int64)
        closed_today: dict[int, list[int]] = {}
        for position, channel in enumerate(board.channels):
            mine = [(index, rule) for index, rule in rules if isinstance(rule, WindowRule) and channel in rule.channels]
            cache: dict[tuple[int, bool], tuple[int, int]] = {}
            for offset in range(length):
                day = as_of + timedelta(days=offset)
                key = (day.weekday(), holidays.is_blocked(day))
                if key not in cache:
                    cache[key] = _longest([_spans(rule, *key) for _, rule in mine])
                start[position, offset], end[position, offset] = cache[key]
            today = (as_of.weekday(), holidays.is_blocked(as_of))
            if start[position, 0] < 0:
                shut = [index for index, rule in mine if not _spans(rule, *today)]
                closed_today[position] = shut or [index for index, _ in mine]
        next_open = np.full((len(board.channels), length + 1), -1, dtype=np.int64)
        for offset in range(length - 1, -1, -1):
            next_open[:, offset] = np.where(start[:, offset] >= 0, offset, next_open[:, offset + 1])
        return cls(start, end, next_open, closed_today)


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


def _block_windows(board: _Board, zones: _Zones, calendar: _Calendar) -> None:
    everyone = np.ones(board.members, dtype=bool)
    for position, rules in calendar.closed_today.items():
        for index in rules:
            board.flag(index, position, everyone)
    nowhere = zones.code == -1
    if nowhere.any():
        for index, entry in board.policies.of_kind("window"):
            board.block(index, entry.rule.channels, np.where(nowhere, NEVER, FREE))


def _to_utc(
    zone: npt.NDArray[np.int64], zones: _Zones, day: Days, minute: npt.NDArray[np.int64]
) -> npt.NDArray[np.datetime64]:
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


def _verdicts(
    board: _Board,
    zones: _Zones,
    calendar: _Calendar,
    members: pd.Index,
    points: npt.NDArray[np.int64],
    contact_points: pd.DataFrame,
) -> pd.DataFrame:
    width = len(board.channels)
    mask = board.mask.transpose(0, 2, 1).reshape(board.words, -1)
    blocked_by, sources = _names(board, mask)
    is_allowed = ~mask.any(axis=0)
    channel = np.tile(np.arange(width), board.members)
    zone = np.repeat(zones.code, width)

    release = board.release.T.reshape(-1)
    last = calendar.start.shape[1]
    offset = np.clip(np.maximum(release, board.today) - board.today, 0, last)
    opens = np.where(release >= NEVER, -1, calendar.next_open[channel, offset])
    opening_minute = np.where(opens >= 0, calendar.start[channel, np.maximum(opens, 0)], -1)
    earliest = _to_utc(zone, zones, board.today + np.maximum(opens, 0), opening_minute)

    today = np.full(channel.size, board.today, dtype=np.int64)
    start = _to_utc(zone, zones, today, np.where(is_allowed, calendar.start[channel, 0], -1))
    end = _to_utc(zone, zones, today, np.where(is_allowed, calendar.end[channel, 0], -1))
    row = points.T.reshape(-1)
    point_ids = np.array([*contact_points["contact_point_id"], None], dtype=object)
    return pd.DataFrame(
        {
            "customer_id": np.repeat(members.to_numpy(dtype=object), width),
            "channel_code": np.array(board.channels, dtype=object)[channel],
            "is_allowed": is_allowed,
            "blocked_by": blocked_by,
            "sources": sources,
            "window_start": start,
            "window_end": end,
            "earliest_permitted_at": earliest,
            "is_never": np.isnat(earliest),
            "contact_point_id": pd.Series(point_ids[row], dtype=object),
        }
    )


def _names(board: _Board, mask: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.object_], npt.NDArray[np.object_]]:
    """JSON lists of rule ids and of their sources for each column of bits; few combinations occur."""
    if board.words == 1:
        codes, patterns = pd.factorize(mask[0])
        patterns = patterns[:, None]
    else:
        codes, found = pd.factorize(pd.MultiIndex.from_arrays(list(mask)))
        patterns = np.array(list(found), dtype=np.int64)
    ids, sources = [], []
    for pattern in patterns:
        rules = [
            index for index in range(len(board.ids)) if int(pattern[index // _WORD_BITS]) >> (index % _WORD_BITS) & 1
        ]
        ids.append(as_json(sorted(board.ids[index] for index in rules)))
        named = {
            source
            for index in rules
            if index < len(board.policies.rules)
            for source in board.policies.rules[index].sources
        }
        sources.append(as_json(sorted(named)))
    return np.array(ids, dtype=object)[codes], np.array(sources, dtype=object)[codes]
