"""A second, separately written reading of the contact rules: judges a finished list against the raw events.

It shares nothing with ``rules.py`` but the policy files, which it opens and reads by itself: one contact after the
other, event by event, in plain Python. Anything that it finds stops the run before publication.
"""

from __future__ import annotations

import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pandas as pd
import yaml

from puntual.decision.holiday_calendar import HolidayCalendar
from puntual.errors import RuleError

_SPOKEN = {"right_party", "promise", "refusal", "dispute", "callback", "replied"}
_DAY_NAMES = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_OF_A_LIST = {"min_count_by", "max_users", "fee"}
_WORKED_BY_PEOPLE = {"call", "visit"}
_SHOWN = 20


@dataclass
class _Person:
    """Everything known of one member who is to be contacted."""

    status: Any = None
    zone_name: Any = None
    place: Any = None
    owed: float | None = None
    attempts: list[tuple[datetime, str, str]] = field(default_factory=list)
    complaints: list[datetime] = field(default_factory=list)
    refusals: list[tuple[datetime, str]] = field(default_factory=list)
    promise_dues: list[date] = field(default_factory=list)
    payment_days: list[date] = field(default_factory=list)
    points: list[dict[str, Any]] = field(default_factory=list)


def check(
    decisions: pd.DataFrame,
    *,
    features: pd.DataFrame,
    customers: pd.DataFrame,
    contact_points: pd.DataFrame,
    interactions: pd.DataFrame,
    promises: pd.DataFrame,
    payments: pd.DataFrame,
    collectors: pd.DataFrame,
    policy_files: Iterable[Path],
    holidays: HolidayCalendar,
    daily_capacity: Mapping[str, int | None],
    country: str,
    currency: str,
    timezone: str,
    reading: str,
    as_of: date,
    promise_grace_days: int = 2,
    contact_point_ids: Mapping[str, str] | None = None,
) -> list[str]:
    """Violations in a finished list, one sentence each; empty when there are none.

    Judged: every contact against every rule in force, its hours, its contact point (any, or the one in
    ``contact_point_ids`` by member), one decision a member, collectors' skills, zones and capacities, and daily limits.
    """
    policies = [yaml.safe_load(Path(file).read_text(encoding="utf-8")) for file in policy_files]
    policies = [policy for policy in policies if _holds(policy, country, as_of)]
    chosen = decisions[decisions["action"] != "none"]
    found = _check_list(decisions, chosen, customers, collectors, daily_capacity, as_of)
    people = _gather(
        set(chosen["customer_id"]),
        features=features,
        customers=customers,
        contact_points=contact_points,
        interactions=interactions,
        promises=promises,
        payments=payments,
        as_of=as_of,
        timezone=timezone,
        lookback=_longest_memory(policies),
    )
    has_country = any(policy["scope"].get("jurisdiction") == country for policy in policies)
    own_zones = {policy["timezone"] for policy in policies} - {"per_person", "institution"}
    for row in chosen.itertuples(index=False):
        person = people[row.customer_id]
        if not has_country:
            found.append(f"{row.customer_id} by {row.action}: no policy of the country {country} is in force")
        zone = _zone(person.zone_name, own_zones)
        used = contact_point_ids.get(row.customer_id) if contact_point_ids is not None else None
        asked = [rule for policy in policies for rule in policy["rules"] if _applies(rule, row.action, reading)]
        needed = [rule for rule in asked if rule["kind"] == "require"]
        problems = [
            (rule["id"], _break(rule, row, person, zone, timezone, holidays, as_of, promise_grace_days, currency, used))
            for rule in asked
        ]
        if not _has_point(needed, row.action, person, used):
            problems.append((" with ".join(rule["id"] for rule in needed), "no contact point passes them together"))
        found += [
            f"{row.customer_id} by {row.action} breaks {name}: {problem}" for name, problem in problems if problem
        ]
    return found


def _applies(rule: Mapping[str, Any], action: str, reading: str) -> bool:
    if rule["kind"] in _OF_A_LIST:
        return False
    return reading in rule.get("readings", [reading]) and (rule["channels"] == "all" or action in rule["channels"])


def require_clean(decisions: pd.DataFrame, **inputs: Any) -> int:
    """Number of contacts judged; see :func:`check` for the inputs.

    Raises:
        RuleError: at least one violation; lists the first of them.
    """
    found = check(decisions, **inputs)
    if found:
        more = f"\n... and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
        raise RuleError(
            f"The list of {inputs['as_of']} breaks rules in {len(found)} places; nothing was published.\n"
            + "\n".join(found[:_SHOWN])
            + more
        )
    return int((decisions["action"] != "none").sum())


def _holds(policy: Mapping[str, Any], country: str, day: date) -> bool:
    start, end = policy.get("effective_from"), policy.get("effective_to")
    if (start is not None and day < start) or (end is not None and day > end):
        return False
    return policy["scope"].get("jurisdiction") in {None, country}


def _longest_memory(policies: Sequence[Mapping[str, Any]]) -> int:
    memory = 7
    for policy in policies:
        for rule in policy["rules"]:
            window = str(rule.get("window", ""))
            if window.startswith("rolling_days:"):
                memory = max(memory, int(window.split(":")[1]))
            memory = max(memory, int(rule.get("days") or 0) + 1)
    return memory


def _zone(name: Any, own_zones: set[str]) -> ZoneInfo | None:
    if isinstance(name, str):
        try:
            return ZoneInfo(name)
        except (KeyError, ValueError, OSError):
            return None
    return ZoneInfo(next(iter(own_zones))) if len(own_zones) == 1 else None


def _plain(name: Any) -> str:
    if not isinstance(name, str):
        return ""
    stripped = [letter for letter in unicodedata.normalize("NFD", name) if unicodedata.category(letter) != "Mn"]
    return " ".join("".join(stripped).lower().split())


def _check_list(
    decisions: pd.DataFrame,
    chosen: pd.DataFrame,
    customers: pd.DataFrame,
    collectors: pd.DataFrame,
    daily_capacity: Mapping[str, int | None],
    as_of: date,
) -> list[str]:
    found = [
        f"{name} has {count} decisions; one is allowed"
        for name, count in Counter(decisions["customer_id"]).items()
        if count > 1
    ]
    province = dict(zip(customers["customer_id"], customers["province"], strict=True))
    team = {row.collector_id: row for row in collectors.itertuples(index=False)}
    load: Counter[str] = Counter()
    sent: Counter[str] = Counter()
    for row in chosen.itertuples(index=False):
        sent[row.action] += 1
        who = row.collector_id if isinstance(row.collector_id, str) else None
        if row.action not in _WORKED_BY_PEOPLE:
            if who is not None:
                found.append(f"{row.customer_id}: {row.action} needs no collector but has {who}")
            continue
        if who is None or who not in team:
            found.append(f"{row.customer_id}: {row.action} has no known collector")
            continue
        load[who] += 1
        person = team[who]
        skills = {word.strip() for word in str(person.channels or "").split(",")}
        if row.action not in skills:
            found.append(f"{row.customer_id}: collector {who} does not do {row.action}")
        home = _plain(person.zone)
        if row.action == "visit" and home and home != _plain(province.get(row.customer_id)):
            found.append(f"{row.customer_id}: a visit outside the zone of collector {who}")
        start, end = pd.Timestamp(person.active_from), pd.Timestamp(person.active_to)
        if start > pd.Timestamp(as_of) or end < pd.Timestamp(as_of):
            found.append(f"{row.customer_id}: collector {who} is not at work on {as_of}")
    for who, count in sorted(load.items()):
        limit = team[who].daily_capacity
        room = 0 if pd.isna(limit) else int(limit)
        if count > room:
            found.append(f"collector {who} has {count} contacts and capacity for {room}")
    for channel, count in sorted(sent.items()):
        limit = daily_capacity.get(channel)
        if channel not in _WORKED_BY_PEOPLE and limit is not None and count > limit:
            found.append(f"{count} contacts by {channel}, {limit} a day are allowed")
    for name, action, chance in zip(
        decisions["customer_id"], decisions["action"], decisions["propensity"], strict=True
    ):
        if pd.isna(chance):
            if action != "none":
                found.append(f"{name}: a contact without its probability")
        elif not 0 < chance <= 1 + 1e-9:
            found.append(f"{name}: the probability {chance} is not in (0, 1]")
    return found


def _moments(values: Iterable[Any]) -> Iterable[datetime | None]:
    for value in values:
        yield None if pd.isna(value) else pd.Timestamp(value).to_pydatetime().replace(tzinfo=UTC)


def _gather(
    names: set[str],
    *,
    features: pd.DataFrame,
    customers: pd.DataFrame,
    contact_points: pd.DataFrame,
    interactions: pd.DataFrame,
    promises: pd.DataFrame,
    payments: pd.DataFrame,
    as_of: date,
    timezone: str,
    lookback: int,
) -> dict[str, _Person]:
    people: dict[str, _Person] = defaultdict(_Person)
    for row in _of(customers, names).itertuples(index=False):
        person = people[row.customer_id]
        person.status, person.zone_name, person.place = row.customer_status_code, row.timezone, row.province
    owing = _of(features, names)
    for name, owed in zip(owing["customer_id"], owing["collectable_amount"], strict=True):
        people[name].owed = None if pd.isna(owed) else float(owed)
    midnight = datetime.combine(as_of + timedelta(days=1), datetime.min.time(), tzinfo=ZoneInfo(timezone)).astimezone(
        UTC
    )
    events = _of(interactions, names)
    earliest = pd.Timestamp(as_of) - pd.Timedelta(days=lookback + 3)
    matters = (events["occurred_at"] >= earliest) | (events["outcome_code"] == "opt_out")
    events = events[matters]
    for name, moment, channel, direction, outcome in zip(
        events["customer_id"],
        _moments(events["occurred_at"]),
        events["channel_code"],
        events["direction_code"],
        events["outcome_code"],
        strict=True,
    ):
        assert moment is not None
        person = people[name]
        if direction == "outbound":
            person.attempts.append((moment, channel, outcome))
        if outcome in {"complaint", "dispute"}:
            person.complaints.append(moment)
        if outcome == "opt_out" and moment < midnight:
            person.refusals.append((moment, channel))
    for row in _of(promises, names).itertuples(index=False):
        if row.promise_status_code == "open":
            people[row.customer_id].promise_dues.append(pd.Timestamp(row.due_date).date())
    money = _of(payments, names)
    money = money[pd.to_datetime(money["paid_date"]) <= pd.Timestamp(as_of)]
    undone = {row.reverses_payment_id for row in money.itertuples(index=False) if row.is_reversal}
    for row in money.itertuples(index=False):
        if not row.is_reversal and row.payment_id not in undone:
            people[row.customer_id].payment_days.append(pd.Timestamp(row.paid_date).date())
    points = _of(contact_points, names)
    given = points["consent_at"] if "consent_at" in points.columns else pd.Series(pd.NaT, index=points.index)
    for row, out, consented in zip(
        points.itertuples(index=False), _moments(points["opted_out_at"]), _moments(given), strict=True
    ):
        people[row.customer_id].points.append(
            {
                "id": row.contact_point_id,
                "kind": row.kind_code,
                "whatsapp": row.has_whatsapp is not None and row.has_whatsapp == True,  # noqa: E712
                "valid": row.is_valid is not None and row.is_valid == True,  # noqa: E712
                "consent": None if row.has_consent is None or pd.isna(row.has_consent) else bool(row.has_consent),
                "out": out if out is not None and out < midnight else None,
                "consented": consented if consented is not None and consented < midnight else None,
            }
        )
    return people


def _of(frame: pd.DataFrame, names: set[str]) -> pd.DataFrame:
    return frame[frame["customer_id"].isin(names)]


def _break(
    rule: Mapping[str, Any],
    row: Any,
    person: _Person,
    zone: ZoneInfo | None,
    timezone: str,
    holidays: HolidayCalendar,
    as_of: date,
    grace: int,
    currency: str,
    used: str | None,
) -> str | None:
    """What the contact does against one rule, or None."""
    kind = rule["kind"]
    local = zone or ZoneInfo(timezone)
    if kind == "window":
        return _break_window(rule, row, zone, holidays, as_of)
    if kind == "require":
        return None if _has_point([rule], row.action, person, used) else f"no contact point passes '{rule['what']}'"
    if kind == "forbid":
        forbidden = "status" not in rule or rule["status"] is None or rule["status"] == person.status
        return f"forbidden with status {person.status}" if forbidden else None
    if kind == "known_status":
        return None if person.status in rule["statuses"] else f"status {person.status} is not known"
    if kind == "min_amount":
        if rule["currency"] != currency:
            return None
        enough = person.owed is not None and round(person.owed, 2) >= rule["amount"]
        return None if enough else f"{person.owed} is owed, {rule['amount']} is the least"
    if kind == "cooloff":
        return _break_cooloff(rule, person, local, as_of, grace)
    past = sorted(
        (moment.astimezone(local).date(), moment, channel, outcome) for moment, channel, outcome in person.attempts
    )
    past = [attempt for attempt in past if attempt[0] <= as_of]
    covered = set(rule["channels"]) if rule["channels"] != "all" else None
    mine = [attempt for attempt in past if covered is None or attempt[2] in covered]
    if kind == "max_count":
        if rule.get("across", "together") == "each":
            mine = [attempt for attempt in mine if attempt[2] == row.action]
        if rule.get("counts", "attempt") == "effective":
            mine = [attempt for attempt in mine if attempt[3] in _SPOKEN]
        inside = [attempt for attempt in mine if _same_window(rule["window"], attempt[0], as_of)]
        return f"{len(inside)} contacts already in {rule['window']}" if len(inside) + 1 > rule["n"] else None
    if kind == "min_spacing":
        wait = int(rule["days"]) - (1 if rule.get("day_of_event_counts") else 0)
        near = [attempt for attempt in mine if (as_of - attempt[0]).days <= wait]
        return f"the last contact was on {near[-1][0]}" if near else None
    if kind == "single_channel":
        week = as_of.isocalendar()[:2]
        spoken = [attempt for attempt in past if attempt[3] in _SPOKEN and attempt[0].isocalendar()[:2] == week]
        if spoken and spoken[0][2] != row.action:
            return f"this week belongs to {spoken[0][2]}"
        return None
    return f"its kind {kind} is not known to the checker"


def _same_window(window: str, day: date, as_of: date) -> bool:
    if window == "calendar_day":
        return day == as_of
    if window == "iso_week":
        return day.isocalendar()[:2] == as_of.isocalendar()[:2]
    return (as_of - day).days < int(window.split(":")[1])


def _break_window(
    rule: Mapping[str, Any], row: Any, zone: ZoneInfo | None, holidays: HolidayCalendar, as_of: date
) -> str | None:
    if zone is None:
        return "the member's time zone is not known"
    if rule["holidays"] == "blocked" and (as_of in holidays.dates or as_of.year not in holidays.years):
        return f"{as_of} is a holiday, or the holidays of its year are not known"
    if pd.isna(row.window_start) or pd.isna(row.window_end):
        return "the contact has no hours"
    start, end = (
        pd.Timestamp(moment).to_pydatetime().replace(tzinfo=UTC).astimezone(zone)
        for moment in (row.window_start, row.window_end)
    )
    if start.date() != as_of or start >= end:
        return f"the hours {start} to {end} are not on {as_of}"
    from_minute = start.hour * 60 + start.minute
    to_minute = end.hour * 60 + end.minute if end.date() == as_of else 24 * 60
    for interval in rule["weekdays"][_DAY_NAMES[as_of.weekday()]]:
        opens, closes = (int(part[:2]) * 60 + int(part[3:]) for part in interval.split("-"))
        if opens <= from_minute and to_minute <= closes:
            return None
    return f"the hours {start:%H:%M} to {end:%H:%M} are not permitted"


def _break_cooloff(rule: Mapping[str, Any], person: _Person, local: ZoneInfo, as_of: date, grace: int) -> str | None:
    event = rule["event"]
    if event == "promise_open":
        running = [due for due in person.promise_dues if as_of <= due + timedelta(days=grace)]
        return f"a promise runs until {max(running)}" if running else None
    if event == "payment":
        days = person.payment_days
    elif event == "complaint":
        days = [moment.astimezone(local).date() for moment in person.complaints]
    else:
        days = [moment.astimezone(local).date() for moment, _, outcome in person.attempts if outcome in _SPOKEN]
    wait = int(rule["days"]) - (1 if rule.get("day_of_event_counts") else 0)
    near = [day for day in days if 0 <= (as_of - day).days <= wait]
    return f"{event} on {max(near)}" if near else None


def _has_point(rules: Sequence[Mapping[str, Any]], action: str, person: _Person, used: str | None) -> bool:
    """Whether one contact point (the one used, if it is known) passes all of ``rules``."""
    refused_at = max((moment for moment, channel in person.refusals if channel == action), default=None)
    points = [point for point in person.points if used is None or point["id"] == used]
    return any(all(_point_passes(rule, action, point, refused_at) for rule in rules) for point in points)


def _point_passes(rule: Mapping[str, Any], action: str, point: Mapping[str, Any], refused_at: datetime | None) -> bool:
    what = rule["what"]
    if what == "contact_point":
        kinds = rule["point_kinds"][action]
        return point["kind"] in kinds or (
            "mobile_with_whatsapp" in kinds and point["kind"] == "mobile" and point["whatsapp"]
        )
    if what == "valid":
        return bool(point["valid"])
    if what == "consent":
        return point["consent"] is True
    if what == "consent_not_refused":
        return point["consent"] is not False
    if what == "not_opted_out":
        since = point["consented"]
        left = [moment for moment in (point["out"], refused_at) if moment is not None]
        return all(since is not None and since > moment for moment in left)
    return False
