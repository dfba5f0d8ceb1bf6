"""A second, separately written reading of the contact rules: judges a finished list against the raw events.

It shares nothing with ``rules.py`` and ``owners.py`` but the policy files, which it opens and reads by itself: one
contact after the other, event by event, in plain Python. Anything that it finds stops the run before publication.
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

from puntual.decision.facts import ContactFacts
from puntual.decision.holiday_calendar import HolidayCalendar
from puntual.decision.raw_rules import longest_memory

_SPOKEN = {"right_party", "promise", "refusal", "dispute", "callback", "replied"}
_DAY_NAMES = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_OF_A_POINT = {"require", "stop_words", "party"}
_OF_A_LIST = {"min_count_by", "max_users", "fee"}
_WORKED_BY_PEOPLE = {"call", "visit"}


@dataclass(frozen=True)
class _Attempt:
    moment: datetime
    channel: str
    outcome: Any
    debt: Any = None


@dataclass(frozen=True)
class _Case:
    """One contact of the list, and the day on which it is judged."""

    row: Any
    person: _Person
    zone: ZoneInfo | None
    local: ZoneInfo
    holidays: HolidayCalendar
    as_of: date
    grace: int
    currency: str
    used: str | None
    approved: Mapping[str, bool] | None


@dataclass(frozen=True)
class Violation:
    """One contact that one rule forbids."""

    customer_id: str
    action: str
    rule_id: str
    problem: str

    def __str__(self) -> str:
        return f"{self.customer_id} by {self.action} breaks {self.rule_id}: {self.problem}"


@dataclass
class _Person:
    """Everything known of one member who is to be contacted."""

    status: Any = None
    zone_name: Any = None
    place: Any = None
    owed: float | None = None
    debt: Any = None
    party: Any = None
    born: date | None = None
    ages_told: bool = False
    late_days: float | None = None
    attempts: list[_Attempt] = field(default_factory=list)
    planned: list[tuple[date, str, Any]] = field(default_factory=list)
    wrote: list[tuple[datetime, str]] = field(default_factory=list)
    said: list[tuple[datetime, str, str]] = field(default_factory=list)
    dated: list[tuple[str, date, date | None]] = field(default_factory=list)
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
    facts: ContactFacts | None = None,
    readings: Mapping[str, str] | None = None,
    hour_bands: Mapping[str, Mapping[str, int]] | None = None,
    owners_file: Path | None = None,
    second_contacts: pd.DataFrame | None = None,
    second_after: str = "reached",
    segments: pd.DataFrame | None = None,
    team_capacity: Mapping[str, int] | None = None,
    channel_budgets: Mapping[str, float] | None = None,
) -> list[str]:
    """Violations in a finished list, one sentence each; empty when there are none.

    Judged: every contact against every rule in force, its hours, its contact point (any, or the one in
    ``contact_point_ids`` by member), one decision a member, collectors' skills, zones and capacities, limits of teams
    (``team_capacity``) and of channels (``daily_capacity`` in contacts, ``channel_budgets`` in money), the limits of
    the rules on a whole list, the bands of hours by channel (``hour_bands``: each contact within one, none with more
    than it has), second contacts (``second_contacts``: another channel, permitted after the first as the first is after
    them, the other one taken as ``second_after``, counted in every capacity), and the rules of owners: whom each may
    get, who is placed out, and shares. Languages and familiar faces are preferences of the assignment, which no list
    breaks; probabilities are no rule, see
    :func:`evidence_problems`.
    """
    chosen = decisions[decisions["action"] != "none"]
    second = decisions.iloc[:0] if second_contacts is None else second_contacts
    every = pd.concat([chosen, second[list(chosen.columns)]]) if len(second) else chosen
    found = _check_list(decisions, every, customers, collectors, daily_capacity, as_of)
    found += _check_bands(every, hour_bands or {}, timezone, as_of)
    found += _check_teams(every, collectors, team_capacity or {})
    found += _check_budgets(every, channel_budgets or {})
    if owners_file is not None:
        found += _check_owners(
            owners_file, every, features, collectors, segments, set(daily_capacity), as_of, team_capacity or {}
        )
    found += _check_second(chosen, second)
    broken = contact_violations(
        decisions,
        second_contacts=second,
        second_after=second_after,
        contact_point_ids=contact_point_ids,
        features=features,
        customers=customers,
        contact_points=contact_points,
        interactions=interactions,
        promises=promises,
        payments=payments,
        policy_files=policy_files,
        holidays=holidays,
        country=country,
        currency=currency,
        timezone=timezone,
        reading=reading,
        readings=readings,
        as_of=as_of,
        promise_grace_days=promise_grace_days,
        facts=facts,
    )
    return found + [str(violation) for violation in broken]


def contact_violations(
    decisions: pd.DataFrame,
    *,
    second_contacts: pd.DataFrame,
    second_after: str,
    contact_point_ids: Mapping[str, str] | None,
    interactions: pd.DataFrame,
    **given: Any,
) -> list[Violation]:
    """Every contact, first or second, that a contact rule forbids; inputs as in :func:`check`."""
    chosen, second = decisions[decisions["action"] != "none"], second_contacts

    def judged(mine: pd.DataFrame, made: pd.DataFrame, used: Mapping[str, str] | None) -> list[Violation]:
        return violations(mine, interactions=made, contact_point_ids=used, **given)

    broken = judged(decisions, interactions, contact_point_ids)
    if len(second):
        pair = chosen[chosen["customer_id"].isin(set(second["customer_id"]))]
        points = second.get("contact_point_id")
        of_second = None if points is None else dict(zip(second["customer_id"], points, strict=True))
        # nobody knows which of two contacts of a day comes first: each is judged as if the other had been made
        for mine, other, used in ((second, pair, of_second), (pair, second, contact_point_ids)):
            broken += judged(mine, _made(interactions, other, second_after), used)
    return broken


def evidence_problems(decisions: pd.DataFrame) -> list[str]:
    """What is wrong with the probabilities of a finished list, one sentence each; no contact is forbidden by it.

    A contact may be without its probability where a draw made it: what the plan would have chosen instead is not
    certain (a tie, a plan without proof), and where the member is of an experiment, whose arms would each have chosen
    for themselves. Everybody else's contact has one in (0, 1], and so has no contact unless it was drawn.
    """
    found = []
    for row in decisions.itertuples(index=False):
        if not pd.isna(row.propensity):
            if not 0 < row.propensity <= 1 + 1e-9:
                found.append(f"{row.customer_id}: the probability {row.propensity} is not in (0, 1]")
        elif not row.is_exploration and pd.isna(row.experiment_id):
            found.append(f"{row.customer_id}: {row.action} without its probability, and no draw that would explain it")
    return found


def _check_second(chosen: pd.DataFrame, second: pd.DataFrame) -> list[str]:
    first = {row.customer_id: row for row in chosen.itertuples(index=False)}
    found = [
        f"{name} has {count + 1} contacts; two are allowed"
        for name, count in Counter(second["customer_id"]).items()
        if count > 1
    ]
    for row in second.itertuples(index=False):
        before = first.get(row.customer_id)
        if before is None or before.is_exploration:
            found.append(f"{row.customer_id}: a second contact without a first one of the plan")
        elif before.action == row.action or not {before.action, row.action} & _WORKED_BY_PEOPLE:
            found.append(f"{row.customer_id}: {row.action} beside {before.action} on one day")
        elif {before.action, row.action} <= _WORKED_BY_PEOPLE and before.collector_id != row.collector_id:
            found.append(f"{row.customer_id} is on two lists, of {before.collector_id} and {row.collector_id}")
    return found


def _made(interactions: pd.DataFrame, contacts: pd.DataFrame, after: str) -> pd.DataFrame:
    """The interactions, and contacts of the list as if each had reached the member, or been tried."""
    rows = [
        {
            "customer_id": row.customer_id,
            "loan_id": row.loan_id,
            "occurred_at": row.window_start,
            "channel_code": row.action,
            "direction_code": "outbound",
            "outcome_code": "right_party" if after == "reached" else "no_answer",
            "is_right_party": after == "reached",
        }
        for row in contacts.itertuples(index=False)
    ]
    if not rows:
        return interactions
    made = pd.DataFrame(rows)[[name for name in rows[0] if name in interactions.columns]]
    return pd.concat([interactions.astype({"channel_code": object, "outcome_code": object}), made], ignore_index=True)


def violations(
    decisions: pd.DataFrame,
    *,
    features: pd.DataFrame,
    customers: pd.DataFrame,
    contact_points: pd.DataFrame,
    interactions: pd.DataFrame,
    promises: pd.DataFrame,
    payments: pd.DataFrame,
    policy_files: Iterable[Path],
    holidays: HolidayCalendar,
    country: str,
    currency: str,
    timezone: str,
    reading: str,
    as_of: date,
    promise_grace_days: int = 2,
    contact_point_ids: Mapping[str, str] | None = None,
    facts: ContactFacts | None = None,
    readings: Mapping[str, str] | None = None,
) -> list[Violation]:
    """Every contact of the list that a contact rule forbids, once for each rule; inputs as in :func:`check`."""
    policies = [yaml.safe_load(Path(file).read_text(encoding="utf-8")) for file in policy_files]
    policies = [policy for policy in policies if _holds(policy, country, as_of)]
    facts = facts or ContactFacts()
    chosen = decisions[decisions["action"] != "none"]
    people = _gather(
        set(chosen["customer_id"]),
        features=features,
        customers=customers,
        contact_points=contact_points,
        interactions=interactions,
        promises=promises,
        payments=payments,
        facts=facts,
        as_of=as_of,
        timezone=timezone,
        lookback=longest_memory(policies),
    )
    rules = [
        rule
        for policy in policies
        for rule in policy["rules"]
        if _is_read(rule, policy["id"], reading, readings or {}) and _between(rule, as_of)
    ]
    of_country = [policy for policy in policies if policy["scope"].get("jurisdiction") == country]
    hours_of_country = [
        rule
        for policy in of_country
        for rule in policy["rules"]
        if rule["kind"] == "window" and rule in rules and not rule.get("where")
    ]
    own_zones = {policy["timezone"] for policy in policies} - {"per_person", "institution"}
    approved = _approved(facts.templates)
    found: list[Violation] = []
    for row in chosen.itertuples(index=False):
        person = people[row.customer_id]
        who, action = str(row.customer_id), str(row.action)
        if not of_country:
            found.append(Violation(who, action, f"NO-POLICY-{country}", f"no policy of {country} is in force"))
        elif not any(_applies(rule, action) for rule in hours_of_country):
            found.append(
                Violation(
                    who, action, f"NO-HOURS-{country}", f"no rule of {country} in force gives the hours of {action}"
                )
            )
        zone = _zone(person.zone_name, own_zones)
        used = contact_point_ids.get(row.customer_id) if contact_point_ids is not None else None
        case = _Case(
            row,
            person,
            zone,
            zone or ZoneInfo(timezone),
            holidays,
            as_of,
            promise_grace_days,
            currency,
            used,
            approved,
        )
        asked = [rule for rule in rules if _applies(rule, action) and _concerns(rule, person, zone)]
        for rule in asked:
            problem = _break(rule, case)
            if problem:
                found.append(Violation(who, action, rule["id"], problem))
        needed = [rule for rule in asked if rule["kind"] in _OF_A_POINT]
        if not _has_point(needed, case):
            ids = " with ".join(rule["id"] for rule in needed)
            found.append(Violation(who, action, ids, "no contact point passes them together"))
    return found + _over_their_limits(rules, chosen, interactions, facts.planned, timezone, as_of)


def _over_their_limits(
    rules: Sequence[Mapping[str, Any]],
    chosen: pd.DataFrame,
    interactions: pd.DataFrame,
    planned: pd.DataFrame | None,
    timezone: str,
    as_of: date,
) -> list[Violation]:
    """Limits on the different members that a channel may reach in 24 hours: those of the list with those before it.

    Lists of days before that may have been carried out within those hours, unknown to us, count as carried out.
    """
    found = []
    midnight = datetime.combine(as_of, datetime.min.time(), tzinfo=ZoneInfo(timezone)).astimezone(UTC)
    for rule in rules:
        if rule["kind"] != "max_users":
            continue
        mine = {
            str(row.customer_id): row.window_start
            for row in chosen.itertuples(index=False)
            if _applies(rule, row.action)
        }
        if not mine:
            continue
        starts = [start for start in _moments(mine.values()) if start is not None]
        since = min(starts, default=midnight) - timedelta(hours=int(rule["window"].split(":")[1]))
        sent = interactions[
            (interactions["direction_code"] == "outbound")
            & (interactions["occurred_at"] > pd.Timestamp(since).tz_localize(None))
        ]
        before = {
            str(who)
            for who, channel in zip(sent["customer_id"], sent["channel_code"], strict=True)
            if _applies(rule, channel)
        }
        for row in planned.itertuples(index=False) if planned is not None else ():
            day = pd.Timestamp(row.planned_for).date()
            its_end = datetime.combine(day + timedelta(days=1), datetime.min.time(), tzinfo=ZoneInfo(timezone))
            if day < as_of and its_end > since and _applies(rule, row.channel_code):
                before.add(str(row.customer_id))
        if len(before | set(mine)) > rule["n"]:
            found.append(
                Violation(
                    f"{len(mine)} members",
                    "the list",
                    rule["id"],
                    f"{len(before | set(mine))} in 24 hours, {rule['n']} are allowed",
                )
            )
    return found


def _approved(templates: pd.DataFrame | None) -> dict[str, bool] | None:
    """Whether each channel has a template that may be sent; None where nobody keeps account of templates."""
    if templates is None:
        return None
    approved: dict[str, bool] = defaultdict(bool)
    for row in templates.itertuples(index=False):
        approved[row.channel_code] |= row.status_code == "approved" and row.quality_code != "red"
    return approved


def _is_read(rule: Mapping[str, Any], policy: str, reading: str, readings: Mapping[str, str]) -> bool:
    """Whether the rule belongs to the reading of its question, else of its policy, else of the institution."""
    for key in (rule.get("question") or rule["id"], policy):
        if key in readings:
            reading = readings[key]
            break
    return "readings" not in rule or reading in rule["readings"]


def _between(dated: Mapping[str, Any], day: date) -> bool:
    start, end = dated.get("effective_from"), dated.get("effective_to")
    return (start is None or start <= day) and (end is None or day <= end)


def _concerns(rule: Mapping[str, Any], person: _Person, zone: ZoneInfo | None) -> bool:
    """Whether the rule's ``where`` holds for the member, or whether it holds is not known."""
    where = rule.get("where") or {}
    wanted = {_plain(name) for name in where.get("province") or []}
    if wanted and _plain(person.place) and _plain(person.place) not in wanted:
        return False
    return not (where.get("timezone") and zone is not None and zone.key not in where["timezone"])


def _applies(rule: Mapping[str, Any], action: str) -> bool:
    return rule["channels"] == "all" or action in rule["channels"]


def _holds(policy: Mapping[str, Any], country: str, day: date) -> bool:
    return _between(policy, day) and policy["scope"].get("jurisdiction") in {None, country}


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
        if limit is not None and count > limit:
            found.append(f"{count} contacts by {channel}, {limit} a day are allowed")
    return found


def _check_teams(chosen: pd.DataFrame, collectors: pd.DataFrame, limits: Mapping[str, int]) -> list[str]:
    """Teams with more calls and visits than the settings let them have."""
    if not limits:
        return []
    team = dict(zip(collectors["collector_id"], collectors["team"], strict=True))
    made = Counter(
        str(team.get(row.collector_id)).strip()
        for row in chosen.itertuples(index=False)
        if row.action in _WORKED_BY_PEOPLE
    )
    return [
        f"the team {name} has {made[name]} calls and visits, {most} a day are allowed"
        for name, most in sorted(limits.items())
        if made[name] > most
    ]


def _check_budgets(chosen: pd.DataFrame, budgets: Mapping[str, float]) -> list[str]:
    """Channels whose contacts cost more than they may together."""
    spent: dict[str, float] = defaultdict(float)
    for row in chosen.itertuples(index=False):
        spent[row.action] += float(row.contact_cost_amount)
    return [
        f"the contacts by {channel} cost {spent[channel]:.2f}, {most:.2f} a day are allowed"
        for channel, most in sorted(budgets.items())
        if spent[channel] > most + 1e-4
    ]


def _check_bands(
    chosen: pd.DataFrame, hour_bands: Mapping[str, Mapping[str, int]], timezone: str, as_of: date
) -> list[str]:
    found = []
    midnight = datetime.combine(as_of, datetime.min.time(), tzinfo=ZoneInfo(timezone))
    inside: Counter[tuple[str, str]] = Counter()
    for row in chosen.itertuples(index=False):
        bands = hour_bands.get(row.action) or {}
        if not bands:
            continue
        start, end = (
            pd.Timestamp(moment).to_pydatetime().replace(tzinfo=UTC) for moment in (row.window_start, row.window_end)
        )
        mine = [
            band
            for band in bands
            if _at(midnight, band[:5]) <= start.astimezone(midnight.tzinfo).replace(tzinfo=None)
            and end.astimezone(midnight.tzinfo).replace(tzinfo=None) <= _at(midnight, band[6:])
        ]
        if len(mine) != 1:
            found.append(f"{row.customer_id}: the hours of {row.action} lie in no band of the institution")
            continue
        inside[row.action, mine[0]] += 1
    for (action, band), count in sorted(inside.items()):
        if count > hour_bands[action][band]:
            found.append(f"{count} contacts by {action} in {band}, {hour_bands[action][band]} can be made")
    return found


def _at(midnight: datetime, time: str) -> datetime:
    return midnight.replace(tzinfo=None) + timedelta(hours=int(time[:2]), minutes=int(time[3:]))


def _check_owners(
    owners_file: Path,
    chosen: pd.DataFrame,
    features: pd.DataFrame,
    collectors: pd.DataFrame,
    segments: pd.DataFrame | None,
    offered: set[str],
    as_of: date,
    team_capacity: Mapping[str, int],
) -> list[str]:
    """Contacts that an owner may not have, members placed out with somebody else, and shares that are exceeded."""
    entries = (yaml.safe_load(owners_file.read_text(encoding="utf-8")) or {}).get("owners") or []
    if not entries:
        return []
    team = {row.collector_id: row for row in collectors.itertuples(index=False)}
    known = {row.customer_id: row for row in _of(features, set(chosen["customer_id"])).itertuples(index=False)}
    belongs: dict[Any, set[str]] = defaultdict(set)
    if segments is not None:
        for name, code in zip(segments["customer_id"], segments["segment_code"], strict=True):
            belongs[name].add(code)
    found = []
    load: Counter[str] = Counter()
    for row in chosen.itertuples(index=False):
        if row.action not in _WORKED_BY_PEOPLE or row.collector_id not in team:
            continue
        owner = _owner(team[row.collector_id])
        load[owner] += 1
        entry, member = _entry_of(owner, entries), known[row.customer_id]
        who = f"{row.customer_id}: {row.action} by {row.collector_id} of {owner}"
        unmet = None if entry is None else _unmet(entry, member, belongs[row.customer_id])
        if entry is not None and unmet:
            found.append(f"{who} breaks owners.yaml, {entry['owner']}: {unmet}")
        holders = [
            one for one in entries if one.get("placed_out") and not _unmet(one, member, belongs[row.customer_id])
        ]
        if holders and entry not in holders:
            found.append(f"{who} breaks owners.yaml, {holders[0]['owner']}: the member is placed out with them alone")
    # a share is of what all can do within the limits of their teams
    room: Counter[str] = Counter()
    for person in team.values():
        name = _known(getattr(person, "team", None))
        room["" if name is None else str(name).strip()] += _room_today(person, offered, as_of)
    total = sum(min(count, team_capacity.get(name, count)) for name, count in room.items())
    for owner, count in sorted(load.items()):
        share = (_entry_of(owner, entries) or {}).get("max_share")
        if share is not None and count > share * total + 1e-9:
            found.append(
                f"{owner} has {count} calls and visits, which breaks owners.yaml, {owner}: at most {share:g} of the "
                f"{total} that all can do today"
            )
    return found


def _owner(person: Any) -> str:
    if getattr(person, "kind_code", None) != "agency":
        return "internal"
    name = _known(getattr(person, "agency", None))
    return "agency" if name is None else str(name)


def _entry_of(owner: str, entries: Sequence[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """The entry that speaks of an owner: its own, else for an agency that of all agencies."""
    for name in (owner,) if owner == "internal" else (owner, "agency"):
        for entry in entries:
            if entry["owner"] == name:
                return entry
    return None


def _unmet(entry: Mapping[str, Any], member: Any, belongs: set[str]) -> str:
    """The condition of an owner that the member does not meet; empty when all are met."""
    for name in ("past_due_days", "arrears_amount"):
        limits, value = entry.get(name), _known(getattr(member, name, None))
        if limits is None:
            continue
        low, high = limits.get("min"), limits.get("max")
        if value is None or (low is not None and value < low) or (high is not None and value > high):
            return f"{name} {value} is not within {low} to {high}"
    products = entry.get("products")
    if products is not None and _known(getattr(member, "product_code", None)) not in products:
        return f"product {_known(getattr(member, 'product_code', None))} is none of {', '.join(products)}"
    wanted = entry.get("segments")
    if wanted is not None and not belongs & set(wanted):
        return f"the member is in none of the segments {', '.join(wanted)}"
    return ""


def _room_today(person: Any, offered: set[str], as_of: date) -> int:
    """Calls and visits that a collector can do on the day; 0 for one who is not at work or does neither."""
    start, end = pd.Timestamp(person.active_from), pd.Timestamp(person.active_to)
    skills = {word.strip() for word in str(person.channels or "").split(",")} & _WORKED_BY_PEOPLE & offered
    if start > pd.Timestamp(as_of) or end < pd.Timestamp(as_of) or not skills or pd.isna(person.daily_capacity):
        return 0
    return max(int(person.daily_capacity), 0)


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
    facts: ContactFacts,
    as_of: date,
    timezone: str,
    lookback: int,
) -> dict[str, _Person]:
    people: dict[str, _Person] = defaultdict(_Person)
    # of one whom the source gives no birth date, while it gives others theirs, the age is not known
    ages_told = "birth_date" in customers.columns and bool(customers["birth_date"].notna().any())
    for row in _of(customers, names).itertuples(index=False):
        person = people[row.customer_id]
        person.ages_told = ages_told
        person.status, person.zone_name, person.place = row.customer_status_code, row.timezone, row.province
        person.party = _known(getattr(row, "party_code", None))
        born = _known(getattr(row, "birth_date", None))
        person.born = None if born is None else pd.Timestamp(born).date()
    for row in _of(features, names).itertuples(index=False):
        person = people[row.customer_id]
        owed, late = _known(row.collectable_amount), _known(getattr(row, "past_due_days", None))
        person.owed = None if owed is None else float(owed)
        person.late_days = None if late is None else float(late)
        person.debt = _known(getattr(row, "loan_id", None))
    midnight = datetime.combine(as_of + timedelta(days=1), datetime.min.time(), tzinfo=ZoneInfo(timezone)).astimezone(
        UTC
    )
    events = _of(interactions, names)
    earliest = pd.Timestamp(as_of) - pd.Timedelta(days=lookback + 3)
    matters = (events["occurred_at"] >= earliest) | (events["outcome_code"] == "opt_out")
    events = events[matters]
    debts = events["loan_id"] if "loan_id" in events.columns else pd.Series(None, index=events.index, dtype=object)
    for name, moment, channel, direction, outcome, debt in zip(
        events["customer_id"],
        _moments(events["occurred_at"]),
        events["channel_code"],
        events["direction_code"],
        events["outcome_code"],
        debts,
        strict=True,
    ):
        assert moment is not None
        person = people[name]
        if direction == "outbound":
            person.attempts.append(_Attempt(moment, channel, outcome, _known(debt)))
        else:
            person.wrote.append((moment, channel))
        if outcome in {"complaint", "dispute"}:
            person.complaints.append(moment)
        if outcome == "opt_out" and moment < midnight:
            person.refusals.append((moment, channel))
    _gather_facts(people, names, facts, as_of, midnight)
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
                "place": _known(getattr(row, "place_code", None)),
                "party": _known(getattr(row, "party_code", None)),
                "whatsapp": row.has_whatsapp is not None and row.has_whatsapp == True,  # noqa: E712
                "valid": row.is_valid is not None and row.is_valid == True,  # noqa: E712
                "consent": None if row.has_consent is None or pd.isna(row.has_consent) else bool(row.has_consent),
                "out": out if out is not None and out < midnight else None,
                "consented": consented,
                "over": midnight,
            }
        )
    return people


def _gather_facts(
    people: Mapping[str, _Person], names: set[str], facts: ContactFacts, as_of: date, midnight: datetime
) -> None:
    """What the lists of the days before planned, dated statuses, and what members wrote."""
    if facts.planned is not None:
        for row in _of(facts.planned, names).itertuples(index=False):
            day = pd.Timestamp(row.planned_for).date()
            if day < as_of:
                people[row.customer_id].planned.append((day, row.channel_code, _known(getattr(row, "loan_id", None))))
    if facts.statuses is not None:
        for row in _of(facts.statuses, names).itertuples(index=False):
            last = _known(row.to_date)
            people[row.customer_id].dated.append(
                (
                    row.status_code,
                    pd.Timestamp(row.from_date).date(),
                    None if last is None else pd.Timestamp(last).date(),
                )
            )
    if facts.texts is not None:
        told = _of(facts.texts, names)
        for name, moment, channel, text in zip(
            told["customer_id"], _moments(told["occurred_at"]), told["channel_code"], told["text"], strict=True
        ):
            if moment is not None and moment < midnight and isinstance(text, str):
                people[name].said.append((moment, channel, text))


def _known(value: Any) -> Any:
    return None if value is None or pd.isna(value) else value


def _of(frame: pd.DataFrame, names: set[str]) -> pd.DataFrame:
    return frame[frame["customer_id"].isin(names)]


def _break(rule: Mapping[str, Any], case: _Case) -> str | None:
    """What the contact does against one rule, or None."""
    kind = rule["kind"]
    if kind in _OF_A_LIST:
        return None
    if kind == "window":
        return _break_window(rule, case.row, case.zone, case.holidays, case.as_of)
    if kind == "party" and (case.person.party or "debtor") not in rule["allowed"]:
        return f"a {case.person.party or 'debtor'} is not contacted"
    if kind in _OF_A_POINT:
        return None if _has_point([rule], case) else f"no contact point passes '{rule.get('what', kind)}'"
    if kind in {"forbid", "known_status"}:
        return _break_status(rule, case)
    if kind in {"min_age", "past_due_days", "min_amount"}:
        return _break_person(rule, case)
    if kind == "service_window":
        return _break_service_window(rule, case)
    if kind == "cooloff":
        return _break_cooloff(rule, case)
    if kind in {"max_count", "min_spacing", "single_channel"}:
        return _break_frequency(rule, case)
    return f"its kind {kind} is not known to the checker"


def _break_status(rule: Mapping[str, Any], case: _Case) -> str | None:
    held = [
        code for code, first, last in case.person.dated if first <= case.as_of and (last is None or case.as_of <= last)
    ]
    status = case.person.status
    if rule["kind"] == "known_status":
        strange = [code for code in (status, *held) if code not in rule["statuses"]]
        return f"status {strange[0]} is not known" if strange else None
    wanted = rule.get("status")
    forbidden = wanted is None or wanted == status or wanted in held
    return f"forbidden with status {wanted}" if forbidden else None


def _break_person(rule: Mapping[str, Any], case: _Case) -> str | None:
    person, kind = case.person, rule["kind"]
    if kind == "min_age":
        if person.born is None:
            return "the age is not known" if person.ages_told else None
        birthday = (case.as_of.month, case.as_of.day) < (person.born.month, person.born.day)
        age = case.as_of.year - person.born.year - birthday
        return f"{age} years old" if age < rule["years"] else None
    if kind == "past_due_days":
        most = rule.get("max_days")
        days = person.late_days
        good = days is not None and days >= rule["min_days"] and (most is None or days <= most)
        return None if good else f"{days} past-due days"
    if rule["currency"] != case.currency:
        return None
    enough = person.owed is not None and round(person.owed, 2) >= rule["amount"]
    return None if enough else f"{person.owed} is owed, {rule['amount']} is the least"


def _break_service_window(rule: Mapping[str, Any], case: _Case) -> str | None:
    """Without an approved template the whole of the contact's hours lies after the member's message, and soon after."""
    if case.approved is None or case.approved.get(case.row.action):
        return None
    start, end = _moments([case.row.window_start, case.row.window_end])
    if start is None or end is None:
        return "the contact has no hours"
    hours = timedelta(hours=int(rule["hours"]))
    answers = any(
        channel == case.row.action and moment <= start and end <= moment + hours
        for moment, channel in case.person.wrote
    )
    return None if answers else "the member has not written lately and no template is approved"


def _attempts(case: _Case) -> list[tuple[date, datetime, str, Any, Any]]:
    """Attempts made and planned, oldest first: day of the person's calendar, moment, channel, outcome, debt."""
    local = case.local
    made = [
        (one.moment.astimezone(local).date(), one.moment, one.channel, one.outcome, one.debt)
        for one in case.person.attempts
    ]
    done = {(day, channel) for day, _, channel, _, _ in made}
    awaited = [
        (day, datetime.combine(day, datetime.min.time(), tzinfo=UTC), channel, None, debt)
        for day, channel, debt in case.person.planned
        if (day, channel) not in done
    ]
    return sorted((one for one in made + awaited if one[0] <= case.as_of), key=lambda one: one[:3])


def _same_debt(debt: Any, case: _Case) -> bool:
    return debt is None or case.person.debt is None or debt == case.person.debt


def _break_frequency(rule: Mapping[str, Any], case: _Case) -> str | None:
    past = _attempts(case)
    as_of, action = case.as_of, case.row.action
    mine = [attempt for attempt in past if _applies(rule, attempt[2])]
    if rule["kind"] == "max_count":
        if rule.get("across", "together") == "each":
            mine = [attempt for attempt in mine if attempt[2] == action]
        if rule.get("counts", "attempt") == "effective":
            mine = [attempt for attempt in mine if attempt[3] in _SPOKEN]
        if rule.get("scope", "person") == "person_debt":
            mine = [attempt for attempt in mine if _same_debt(attempt[4], case)]
        inside = [attempt for attempt in mine if _same_window(rule["window"], attempt[0], as_of)]
        return f"{len(inside)} contacts already in {rule['window']}" if len(inside) + 1 > rule["n"] else None
    if rule["kind"] == "min_spacing":
        wait = int(rule["days"]) - (1 if rule.get("day_of_event_counts") else 0)
        near = [attempt for attempt in mine if (as_of - attempt[0]).days <= wait]
        return f"the last contact was on {near[-1][0]}" if near else None
    week = as_of.isocalendar()[:2]
    spoken = [attempt for attempt in past if attempt[3] in _SPOKEN and attempt[0].isocalendar()[:2] == week]
    return f"this week belongs to {spoken[0][2]}" if spoken and spoken[0][2] != action else None


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


def _break_cooloff(rule: Mapping[str, Any], case: _Case) -> str | None:
    event, person, as_of = rule["event"], case.person, case.as_of
    if event == "promise_open":
        running = [due for due in person.promise_dues if as_of <= due + timedelta(days=case.grace)]
        if "reminder_on_due_minus_1" in (rule.get("allow") or []):
            eve = as_of + timedelta(days=1)
            running = [] if running and all(due == eve for due in running) else running
        return f"a promise runs until {max(running)}" if running else None
    wait = int(rule["days"]) - (1 if rule.get("day_of_event_counts") else 0)
    if event == "status":
        days = [
            first for code, first, last in person.dated if code == rule["status"] and (last is None or as_of <= last)
        ]
    elif event == "payment":
        days = person.payment_days
    elif event == "complaint":
        days = [moment.astimezone(case.local).date() for moment in person.complaints]
    else:
        through = rule.get("event_channels")
        about_this = rule.get("scope", "person") == "person"
        days = [
            one.moment.astimezone(case.local).date()
            for one in person.attempts
            if one.outcome in _SPOKEN
            and (through is None or one.channel in through)
            and (about_this or _same_debt(one.debt, case))
        ]
    near = [day for day in days if 0 <= (as_of - day).days <= wait]
    return f"{event} on {max(near)}" if near else None


def _has_point(rules: Sequence[Mapping[str, Any]], case: _Case) -> bool:
    """Whether one contact point (the one used, if it is known) passes all of ``rules``."""
    points = [point for point in case.person.points if case.used is None or point["id"] == case.used]
    return any(all(_point_passes(rule, case, point) for rule in rules) for point in points)


def _point_passes(rule: Mapping[str, Any], case: _Case, point: Mapping[str, Any]) -> bool:
    action = case.row.action
    kinds = rule.get("point_kinds")
    if rule["kind"] == "party":
        return point["party"] is None or point["party"] in rule["allowed"]
    if rule["kind"] == "stop_words":
        words = {_bare(word) for word in rule["words"]}
        stopped = [moment for moment, channel, text in case.person.said if channel == action and _bare(text) in words]
        return all(_agreed_after(point, moment) for moment in stopped)
    what = rule["what"]
    if what == "contact_point":
        assert kinds is not None
        return point["kind"] in kinds[action] or (
            "mobile_with_whatsapp" in kinds[action] and point["kind"] == "mobile" and point["whatsapp"]
        )
    if what == "valid":
        return bool(point["valid"])
    if what == "consent":
        return point["consent"] is True and (point["consented"] is None or point["consented"] < point["over"])
    if what == "consent_not_refused":
        return point["consent"] is not False
    if what == "not_workplace":
        return point["place"] != "work"
    if what == "own":
        return point["party"] in {None, "debtor"}
    if what == "place_told":
        return point["place"] is not None
    if what == "not_opted_out":
        refused_at = max((moment for moment, channel in case.person.refusals if channel == action), default=None)
        left = [moment for moment in (point["out"], refused_at) if moment is not None]
        return all(_agreed_after(point, moment) for moment in left)
    return False


def _agreed_after(point: Mapping[str, Any], moment: datetime) -> bool:
    """Whether the member agreed to the point later than ``moment``, and not after the day."""
    since = point["consented"]
    return point["consent"] is True and since is not None and moment < since < point["over"]


def _bare(text: str) -> str:
    """A message in small letters without accents, and nothing around them."""
    return _plain(text).strip(".,;:!¡?¿'\"()-_* ")
