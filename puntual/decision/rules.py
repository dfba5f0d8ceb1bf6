"""Contact rules applied to people: for every member and channel, allowed today or blocked, by what and until when.

Set-based: every rule becomes one array of release days per member, whatever the number of members or past contacts.
What a rule says is data (``policies.py``, ``rule_kinds.py``); the finished list is checked again by ``checker.py``,
which shares no code with this module.

A rule blocks while its release day lies after the contact day; the release day is the first day on which the rule would
allow contact if nothing else happened.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import pandas as pd

from puntual.decision.board import Board
from puntual.decision.contact_events import (
    FREE,
    NEVER,
    Days,
    Events,
    Flags,
    Ints,
    Zones,
    day_number,
    days_of,
    latest,
    lookback_days,
    microseconds,
    monday_of,
    positions,
    recent_attempts,
)
from puntual.decision.contact_hours import Calendar, Concerned, to_utc
from puntual.decision.facts import ContactFacts
from puntual.decision.holiday_calendar import HolidayCalendar
from puntual.decision.policies import PolicySet
from puntual.decision.reachable import block_contact_points
from puntual.decision.rule_kinds import (
    CHANNELS,
    CooloffRule,
    ForbidRule,
    KnownStatusRule,
    MaxCountRule,
    MinAgeRule,
    MinAmountRule,
    MinSpacingRule,
    PartyRule,
    PastDueRule,
    ServiceWindowRule,
    SingleChannelRule,
)
from puntual.errors import RuleError

__all__ = ["evaluate", "lookback_days"]

_SEARCH_DAYS = 400
_COMPLAINTS = ("complaint", "dispute")
_WORD_BITS = 63


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
    facts: ContactFacts | None = None,
) -> pd.DataFrame:
    """Verdict of the contact rules on contact day ``as_of``: one row per member and channel, members in input order.

    Columns: customer_id, channel_code, is_allowed, blocked_by (JSON list of every rule that blocks), sources (theirs),
    numbers (JSON list, for the blocking rules that count: rule, counted, of, since, until; ``since`` the day of the
    event or the first of the window, ``until`` the last blocked day, null if none is known), window_start, window_end
    (the contact hours of ``as_of`` in UTC, NaT when blocked), earliest_permitted_at (UTC; the window start when
    allowed), is_never (nothing known will lift the block), contact_point_id (the one to use, None when no point
    passes).

    1. Attempts are outbound interactions up to the end of ``as_of``, on the calendar of the person's time zone; those
       of the contact day itself count. Inbound ones never do. Planned ones that nothing confirms yet count as made.
    2. Unknown is blocked: status, consent, validity, time zone where the law follows the person, holidays of the year,
       a country without a policy, a channel without hours of the country; a rule of some provinces concerns who has
       none.
    3. A person has one cap however many loans and roles; promises and payments of any of their loans count. Rules of
       scope ``person_debt`` look at the debt of the day's contact (``loan_id``) and at contacts that name none.
    4. ``earliest_permitted_at`` assumes that nothing else happens; a status or a refusal has no known end.
    5. Duties, fees and limits of the whole list (``OF_A_LIST``) block nobody here.

    Args:
        customers: customer_id (once each), customer_status_code, timezone, collectable_amount; and what some rules look
            at: province, loan_id (of the day's contact), past_due_days, birth_date, party_code. Without the column
            ``birth_date`` no rule of age judges, without ``party_code`` everybody is a debtor: the source tells
            neither, and the caller says so (``policies.PolicySet.not_judged``). A birth date that is missing blocks.
        contact_points: rows of dim_contact_points; ``consent_at`` (UTC), if there, lifts an earlier opt-out;
            ``place_code``, if there, says what an address is.
        interactions: rows of fct_interactions; occurred_at in UTC.
        promises: rows of fct_promises with promise_status_code at the end of ``as_of``.
        payments: rows of fct_payments.
        policies: rules in force on ``as_of``.
        holidays: calendar of the country.
        as_of: contact day.
        timezone: the institution's zone.
        channels: channels to judge, in the order of the result.
        promise_grace_days: whole days after a promise's due date before it counts as broken.
        facts: what not every institution has.

    Raises:
        RuleError: a member appears twice, a channel is unknown, a rule looks at a column that is not there, or no
            policy says how a channel reaches anyone.
    """
    unknown = [channel for channel in channels if channel not in CHANNELS]
    if unknown:
        raise RuleError(f"No contact rules are known for the channels {unknown}; known: {', '.join(CHANNELS)}")
    members = pd.Index(customers["customer_id"])
    if not members.is_unique:
        repeated = members[members.duplicated()][0]
        raise RuleError(f"The member {repeated} appears twice among those to be decided; one row per member is needed.")
    facts = facts or ContactFacts()
    zones = Zones.of(customers, policies, timezone)
    concerned = Concerned(customers, zones)
    board = Board(policies, len(members), channels, day_number(as_of), concerned)
    debt = customers["loan_id"] if "loan_id" in customers.columns else None
    events = recent_attempts(interactions, facts.planned, members, zones, as_of, lookback_days(policies), debt)

    _block_status(board, customers, facts.statuses, members)
    _block_people(board, customers)
    _block_counts(board, events)
    _block_spacing(board, events)
    _block_single_channel(board, events)
    _block_cooloffs(board, events, interactions, promises, payments, facts.statuses, members, zones, promise_grace_days)
    points = block_contact_points(board, contact_points, interactions, facts.texts, members, as_of, timezone)
    calendar = Calendar.of(policies, concerned, board.channels, holidays, as_of, _search_days(board))
    _block_windows(board, zones, calendar)
    _block_service_window(board, interactions, facts.templates, members, zones, calendar)
    return _verdicts(board, zones, calendar, members, points, contact_points)


def _block_status(board: Board, customers: pd.DataFrame, dated: pd.DataFrame | None, members: pd.Index) -> None:
    status = customers["customer_status_code"].astype(object)
    running = _Dated.of(dated, members)
    today = running.holds_on(board.today)
    for index, entry in enumerate(board.policies.rules):
        rule = entry.rule
        if isinstance(rule, KnownStatusRule):
            lasting = ~status.isin(rule.statuses).to_numpy(dtype=bool)
            chosen = today & ~np.isin(running.code, np.array(rule.statuses, dtype=object))
        elif isinstance(rule, ForbidRule) and rule.status is not None:
            lasting = status.eq(rule.status).to_numpy(dtype=bool)
            chosen = today & (running.code == rule.status)
        elif isinstance(rule, ForbidRule):
            lasting, chosen = np.ones(board.members, dtype=bool), np.zeros(running.code.size, dtype=bool)
        else:
            continue
        until = latest(running.owner[chosen], running.end[chosen], board.members)
        release = np.where(lasting | (until >= NEVER), NEVER, np.where(until == FREE, FREE, until + 1))
        if entry.last_day is not None and isinstance(rule, ForbidRule):
            release = np.minimum(release, day_number(entry.last_day) + 1)
        board.block(index, rule.channels, release)
    if not board.policies.has_jurisdiction:
        board.block(len(board.ids) - 1, CHANNELS, np.full(board.members, NEVER))
    elif board.policies.without_hours:
        board.block(len(board.ids) - 1, board.policies.without_hours, np.full(board.members, NEVER))


@dataclass(frozen=True)
class _Dated:
    """Dated statuses of the members: owner, code, first and last day (NEVER: no known end)."""

    owner: Ints
    code: np.ndarray
    begin: Days
    end: Days

    @classmethod
    def of(cls, dated: pd.DataFrame | None, members: pd.Index) -> _Dated:
        if dated is None or dated.empty:
            none = np.zeros(0, dtype=np.int64)
            return cls(none, np.zeros(0, dtype=object), none, none)
        owner = positions(dated["customer_id"], members)
        mine = dated[owner >= 0]
        end = days_of(mine["to_date"])
        return cls(
            owner[owner >= 0],
            mine["status_code"].astype(object).to_numpy(),
            days_of(mine["from_date"]),
            np.where(end == FREE, NEVER, end),
        )

    def holds_on(self, day: int) -> Flags:
        return np.asarray((self.begin <= day) & (self.end >= day), dtype=bool)


def _block_people(board: Board, customers: pd.DataFrame) -> None:
    """What a member is and owes: party, age, past-due days, least amount."""
    for index, entry in enumerate(board.policies.rules):
        rule = entry.rule
        if isinstance(rule, MinAmountRule):
            owed = pd.to_numeric(customers["collectable_amount"]).to_numpy(dtype=float)
            release = np.where(np.round(owed, 2) >= rule.amount, FREE, NEVER)  # a missing amount does not pass
        elif isinstance(rule, PartyRule):
            if "party_code" not in customers.columns:
                continue
            party = customers["party_code"].astype(object)
            passes = party.isin(rule.allowed) | (party.isna() & ("debtor" in rule.allowed))
            release = np.where(passes.to_numpy(dtype=bool), FREE, NEVER)
        elif isinstance(rule, MinAgeRule):
            if "birth_date" not in customers.columns:
                continue
            born = pd.to_datetime(customers["birth_date"]).to_numpy().astype("datetime64[D]")
            month = born.astype("datetime64[M]")
            # a birthday of February 29 falls on March 1 of other years
            coming = (month + 12 * rule.years).astype("datetime64[D]") + (born - month.astype("datetime64[D]"))
            # whose birth date is missing may be a minor: unknown is blocked
            release = np.where(np.isnat(born), NEVER, coming.astype(np.int64))
        elif isinstance(rule, PastDueRule):
            days = pd.to_numeric(_column(customers, "past_due_days", rule.id)).to_numpy(dtype=float)
            most = np.inf if rule.max_days is None else rule.max_days
            inside = (days >= rule.min_days) & (days <= most)
            # who is late already gets later day by day; who is not may never be
            grows = (days > 0) & (days < rule.min_days)
            waiting = board.today + rule.min_days - np.where(grows, days, 0).astype(np.int64)
            release = np.where(inside, FREE, np.where(grows, waiting, NEVER))
        else:
            continue
        board.block(index, rule.channels, release)


def _column(customers: pd.DataFrame, name: str, rule: str) -> pd.Series:
    if name not in customers.columns:
        raise RuleError(f"{rule} looks at {name}, which is not given for the members; hand it over or drop the rule.")
    return customers[name]


def _block_counts(board: Board, events: Events) -> None:
    for index, entry in board.policies.of_kind("max_count"):
        rule = entry.rule
        assert isinstance(rule, MaxCountRule)
        groups = [rule.channels] if rule.across == "together" else [(channel,) for channel in rule.channels]
        since = int(monday_of(board.today)) if rule.window == "iso_week" else board.today - rule.days + 1
        for group in groups:
            if not board.places(group):
                continue
            kept = events.through(group)
            if rule.counts == "effective":
                kept &= events.is_right_party
            if rule.scope == "person_debt":
                kept &= ~events.is_other_debt
            last = events.nth_newest(rule.n, board.members, kept)
            release = monday_of(last) + 7 if rule.window == "iso_week" else last + rule.days
            counted = np.bincount(events.customer[kept & (events.day >= since)], minlength=board.members)
            board.block(index, group, np.where(last == FREE, FREE, release), since=since, counted=counted, of=rule.n)


def _block_spacing(board: Board, events: Events) -> None:
    for index, entry in board.policies.of_kind("min_spacing"):
        rule = entry.rule
        assert isinstance(rule, MinSpacingRule)
        last = events.nth_newest(1, board.members, events.through(rule.channels))
        board.block(index, rule.channels, _released_after(last, rule.days, rule.day_of_event_counts), since=last)


def _released_after(event: Days, days: int, day_of_event_counts: bool) -> Days:
    return np.where(event == FREE, FREE, event + days + (0 if day_of_event_counts else 1))


def _block_single_channel(board: Board, events: Events) -> None:
    monday = int(monday_of(board.today))
    for index, entry in board.policies.of_kind("single_channel"):
        rule = entry.rule
        assert isinstance(rule, SingleChannelRule)
        this_week = np.flatnonzero(events.is_right_party & (events.day >= monday))
        held_by, since = np.full(board.members, -1, dtype=np.int64), np.full(board.members, FREE)
        # newest first, so the first one is written last
        held_by[events.customer[this_week]] = events.channel[this_week]
        since[events.customer[this_week]] = events.day[this_week]
        for channel in board.channels:
            if channel in rule.channels:
                blocked = (held_by >= 0) & (held_by != CHANNELS.index(channel))
                board.block(index, [channel], np.where(blocked, monday + 7, FREE), since=since)


def _block_cooloffs(
    board: Board,
    events: Events,
    interactions: pd.DataFrame,
    promises: pd.DataFrame,
    payments: pd.DataFrame,
    dated: pd.DataFrame | None,
    members: pd.Index,
    zones: Zones,
    promise_grace_days: int,
) -> None:
    for index, entry in board.policies.of_kind("cooloff"):
        rule = entry.rule
        assert isinstance(rule, CooloffRule)
        if rule.event == "promise_open":
            _block_promises(board, index, rule, promises, members, promise_grace_days)
            continue
        assert rule.days is not None
        if rule.event == "status":
            _block_after_status(board, index, rule, _Dated.of(dated, members))
            continue
        if rule.event == "payment":
            event = _last_payment(payments, members, board)
        elif rule.event == "right_party_contact":
            spoken = events.is_right_party
            if rule.event_channels is not None:
                spoken = spoken & events.through(rule.event_channels)
            if rule.scope == "person_debt":
                spoken = spoken & ~events.is_other_debt
            event = events.nth_newest(1, board.members, spoken)
        else:
            event = _last_complaint(interactions, members, zones, board, rule.days)
        board.block(index, rule.channels, _released_after(event, rule.days, rule.day_of_event_counts), since=event)


def _block_promises(
    board: Board, index: int, rule: CooloffRule, promises: pd.DataFrame, members: pd.Index, grace: int
) -> None:
    running = promises[promises["promise_status_code"].eq("open").to_numpy(dtype=bool)]
    owner, due = positions(running["customer_id"], members), days_of(running["due_date"])
    owner, due = owner[owner >= 0], due[owner >= 0]  # a promise of somebody who is not judged
    last = latest(owner, due, board.members)
    release = np.where(last == FREE, FREE, last + grace + 1)
    if not rule.allow:
        board.block(index, rule.channels, release, since=board.today)
        return
    # a reminder may go out on the eve of the last promise, unless an earlier one still rests on that day
    earlier = due < last[owner]
    before = latest(owner[earlier], due[earlier], board.members)
    eve = np.where((last != FREE) & ((before == FREE) | (before + grace + 1 <= last - 1)), last - 1, FREE)
    late = board.late(index, release)
    blocked = late & (eve != board.today)
    places = board.places(rule.channels)
    for place in places:
        board.mark(index, place, blocked)
        rests = np.where(late, release, FREE)
        known = board.resting.get(place)
        board.resting[place] = rests if known is None else np.maximum(known, rests)
        # members of several such rules have the same promises, hence the same eve
        day = np.where(late & (eve >= board.today), eve, FREE)
        known = board.reminder.get(place)
        board.reminder[place] = day if known is None else np.maximum(known, day)
    until = np.where(eve > board.today, eve, release)
    board.note(index, places, blocked, until, board.today)


def _block_after_status(board: Board, index: int, rule: CooloffRule, dated: _Dated) -> None:
    assert rule.days is not None
    chosen = (dated.code == rule.status) & (dated.begin <= board.today)
    owner, begin = dated.owner[chosen], dated.begin[chosen]
    free = np.minimum(_released_after(begin, rule.days, rule.day_of_event_counts), dated.end[chosen] + 1)
    release = latest(owner, free, board.members)
    since = latest(owner[free > board.today], begin[free > board.today], board.members)
    board.block(index, rule.channels, release, since=since)


def _last_payment(payments: pd.DataFrame, members: pd.Index, board: Board) -> Days:
    """Newest day of a payment that still stands; one that was reversed by today is none."""
    until_today = payments[days_of(payments["paid_date"]) <= board.today]
    is_reversal = until_today["is_reversal"].to_numpy(dtype=bool)
    undone = until_today["reverses_payment_id"][is_reversal]
    standing = until_today[~is_reversal & ~until_today["payment_id"].isin(undone).to_numpy()]
    owner = positions(standing["customer_id"], members)
    return latest(owner, days_of(standing["paid_date"]), board.members)


def _last_complaint(interactions: pd.DataFrame, members: pd.Index, zones: Zones, board: Board, days: int) -> Days:
    """Newest day of a complaint or dispute, whoever called whom."""
    since = np.datetime64(board.today - days - 3, "D")
    recent = interactions["occurred_at"].to_numpy().astype("datetime64[us]") >= since
    rows = np.flatnonzero(recent & interactions["outcome_code"].isin(_COMPLAINTS).to_numpy(dtype=bool))
    complaints = interactions.iloc[rows]
    owner = positions(complaints["customer_id"], members)
    complaints, owner = complaints[owner >= 0], owner[owner >= 0]
    day = zones.local_days(complaints["occurred_at"], owner)
    return latest(owner[day <= board.today], day[day <= board.today], board.members)


def _search_days(board: Board) -> int:
    """Days of calendar that are needed to say when the last block ends."""
    furthest = board.today
    for release in (board.release, *board.resting.values()):
        finite = release[release < NEVER]
        furthest = max(furthest, int(finite.max(initial=FREE)))
    return min(furthest - board.today, 20 * 366) + _SEARCH_DAYS


def _block_windows(board: Board, zones: Zones, calendar: Calendar) -> None:
    for (group, place), rules in calendar.closed_today.items():
        inside = calendar.group == group
        for index in rules:
            board.mark(index, place, inside)
    nowhere = zones.code == -1
    if nowhere.any():
        for index, entry in board.policies.of_kind("window"):
            board.block(index, entry.rule.channels, np.where(nowhere, NEVER, FREE))


def _block_service_window(
    board: Board,
    interactions: pd.DataFrame,
    templates: pd.DataFrame | None,
    members: pd.Index,
    zones: Zones,
    calendar: Calendar,
) -> None:
    """Without an approved template, only so long after the member's own message as the platform lets anybody answer."""
    if templates is None:
        return
    for index, entry in board.policies.of_kind("service_window"):
        rule = entry.rule
        assert isinstance(rule, ServiceWindowRule)
        for place in board.places(rule.channels):
            channel = board.channels[place]
            if _has_template(templates, channel):
                continue
            wrote = interactions["channel_code"].eq(channel) & interactions["direction_code"].eq("inbound")
            came = interactions[wrote.to_numpy(dtype=bool)]
            owner = positions(came["customer_id"], members)
            moment = microseconds(came["occurred_at"])
            today = np.full(board.members, board.today, dtype=np.int64)
            start = to_utc(zones.code, zones, today, calendar.start[calendar.group, place, 0])
            end = to_utc(zones.code, zones, today, calendar.end[calendar.group, place, 0])
            closes = end.astype(np.int64)
            # a message that comes after today's hours answers nothing of today
            usable = (owner >= 0) & (moment < closes[owner])
            newest = latest(owner[usable], moment[usable], board.members)
            over = newest + rule.hours * 3_600_000_000
            is_open = ~np.isnat(start)
            outside = is_open & ((newest == FREE) | (over <= start.astype(np.int64)))
            board.block(index, [channel], np.where(outside, NEVER, FREE))
            answers = board.late(index, np.where(is_open & ~outside, NEVER, FREE))
            ahead, after = board.not_before.get(place), board.not_after.get(place)
            begin, finish = np.where(answers, newest, FREE * 2**20), np.where(answers, over, NEVER * 2**20)
            board.not_before[place] = begin if ahead is None else np.maximum(ahead, begin)
            board.not_after[place] = finish if after is None else np.minimum(after, finish)


def _has_template(templates: pd.DataFrame, channel: str) -> bool:
    mine = templates[templates["channel_code"].eq(channel).to_numpy(dtype=bool)]
    return bool((mine["status_code"].eq("approved") & ~mine["quality_code"].eq("red")).any())


def _verdicts(
    board: Board,
    zones: Zones,
    calendar: Calendar,
    members: pd.Index,
    points: Ints,
    contact_points: pd.DataFrame,
) -> pd.DataFrame:
    width = len(board.channels)
    mask = board.mask.transpose(0, 2, 1).reshape(board.words, -1)
    blocked_by, sources = board.names(mask)
    is_allowed = ~mask.any(axis=0)
    channel = np.tile(np.arange(width), board.members)
    zone, group = np.repeat(zones.code, width), np.repeat(calendar.group, width)

    opens = _first_open(board, calendar)
    opening_minute = np.where(opens >= 0, calendar.start[group, channel, np.maximum(opens, 0)], -1)
    earliest = to_utc(zone, zones, board.today + np.maximum(opens, 0), opening_minute)

    today = np.full(channel.size, board.today, dtype=np.int64)
    start = to_utc(zone, zones, today, np.where(is_allowed, calendar.start[group, channel, 0], -1))
    end = to_utc(zone, zones, today, np.where(is_allowed, calendar.end[group, channel, 0], -1))
    for place, not_before in board.not_before.items():
        mine = np.flatnonzero((channel == place) & is_allowed)
        start[mine] = np.maximum(start[mine], not_before[mine // width].astype("datetime64[us]"))
        end[mine] = np.minimum(end[mine], board.not_after[place][mine // width].astype("datetime64[us]"))
        earliest[mine] = start[mine]
    row = points.T.reshape(-1)
    point_ids = np.array([*contact_points["contact_point_id"], None], dtype=object)
    return pd.DataFrame(
        {
            "customer_id": np.repeat(members.to_numpy(dtype=object), width),
            "channel_code": np.array(board.channels, dtype=object)[channel],
            "is_allowed": is_allowed,
            "blocked_by": blocked_by,
            "sources": sources,
            "numbers": board.numbers().T.reshape(-1),
            "window_start": start,
            "window_end": end,
            "earliest_permitted_at": earliest,
            "is_never": np.isnat(earliest),
            "contact_point_id": pd.Series(point_ids[row], dtype=object),
        }
    )


def _first_open(board: Board, calendar: Calendar) -> Ints:
    """Offset from today of the first day without a block, members x channels flattened; -1: none is known."""
    last = calendar.start.shape[2]
    opens = np.empty((board.members, len(board.channels)), dtype=np.int64)
    for place in range(len(board.channels)):
        release = np.maximum(board.release[place], board.today)
        rest = np.maximum(release, board.resting[place]) if place in board.resting else release
        offset = np.clip(rest - board.today, 0, last)
        found = np.where(rest >= NEVER, -1, calendar.next_open[calendar.group, place, offset])
        if place in board.reminder:
            eve = board.reminder[place]
            at = np.clip(eve - board.today, 0, last - 1)
            takes = (eve >= release) & (calendar.start[calendar.group, place, at] >= 0)
            found = np.where(takes, at, found)
        opens[:, place] = found
    return opens.reshape(-1)
