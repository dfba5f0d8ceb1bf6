"""Random people and rules for engine and checker to judge apart, and the comparison of what they say, rule by rule.

python -m tests.property.rule_cases --cases 1000000      # about ten minutes; ends with 1 at the first difference

Each world has the shipped policies of a country and up to ``--rules`` random rules of an institution beside them, of
every kind that judges a member (``random_rules.py``); ``--rules 0`` leaves the shipped ones alone.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections import Counter, defaultdict
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd

from puntual.decision.checker import violations
from puntual.decision.facts import ContactFacts
from puntual.decision.holiday_calendar import HolidayCalendar
from puntual.decision.policies import CHANNELS, PolicySet
from puntual.decision.rules import evaluate
from tests.property.random_rules import POLICY, load_with_random_rules
from tests.unit.decision import worlds

ZONES = {
    "EC": ("America/Guayaquil", ["America/Guayaquil", "Pacific/Galapagos"]),
    "MX": ("America/Mexico_City", ["America/Tijuana", "America/Mexico_City", "America/Ciudad_Juarez"]),
    "CO": ("America/Bogota", ["America/Bogota"]),
    "CL": ("America/Santiago", ["America/Santiago", "Pacific/Easter"]),
    "PE": ("America/Lima", ["America/Lima", "Europe/Madrid"]),
    "US": ("America/New_York", ["America/New_York", "America/Denver", "America/Los_Angeles"]),
}
READINGS = ("strict_default", "alternative_reading")
# ordinary days, ISO week 53, clock changes (Chile, the United States and the border, Europe), a Saturday, a Sunday, holidays
DAYS = (
    date(2026, 6, 30),
    date(2026, 12, 31),
    date(2027, 1, 2),
    date(2026, 9, 7),
    date(2026, 4, 6),
    date(2026, 3, 9),
    date(2026, 11, 2),
    date(2026, 8, 10),
    date(2026, 3, 1),
)
PROVINCES = ["Loja", "CA", "WV", "SC", "DC", "MA", "manabí", None]
OUTCOMES = [
    "no_answer",
    "right_party",
    "promise",
    "callback",
    "sent",
    "read",
    "replied",
    "complaint",
    "dispute",
    "opt_out",
]


class Draw:
    """Columns of one world."""

    def __init__(self, random: np.random.Generator, as_of: date, people: int) -> None:
        self.random, self.people = random, people
        self.names = np.array([f"c{number:06d}" for number in range(people)], dtype=object)
        self.noon = pd.Timestamp(as_of) + pd.Timedelta(hours=17)
        self.today = pd.Timestamp(as_of)

    def pick(self, values: list, size: int, p: list[float] | None = None) -> pd.Series:
        places = self.random.choice(len(values), size, p=p)
        return pd.Series(np.array([*values, None], dtype=object)[places], dtype=object)

    def who(self, size: int) -> np.ndarray:
        return self.names[self.random.integers(0, self.people, size)]

    def moments(self, size: int, days: int) -> pd.Series:
        back = pd.to_timedelta(self.random.integers(-600, days * 1440, size), unit="m")
        return pd.Series((self.noon - back).as_unit("us"))

    def days(self, size: int, first: int, last: int) -> pd.Series:
        return pd.Series(
            (self.today + pd.to_timedelta(self.random.integers(first, last, size), unit="D")).as_unit("us")
        )

    def sometimes(self, values: pd.Series, share: float) -> pd.Series:
        return values.where(self.random.random(len(values)) < share)


def random_world(
    random: np.random.Generator, as_of: date, zones: list[str], people: int
) -> tuple[dict[str, pd.DataFrame], ContactFacts]:
    """The frames of ``evaluate`` in their order, and the facts."""
    draw = Draw(random, as_of, people)
    statuses = ["active", "hardship", "dispute", "deceased", "strange", None]
    loans = pd.Series([f"L{name}" for name in draw.names], dtype=object)
    members = pd.DataFrame(
        {
            "customer_id": draw.names,
            "customer_status_code": draw.pick(statuses, people, [0.9, 0.04, 0.02, 0.02, 0.01, 0.01]),
            "timezone": draw.pick([*zones, None, "Mars/Base"], people, [0.9 / len(zones)] * len(zones) + [0.08, 0.02]),
            "province": draw.pick(PROVINCES, people),
            "language_code": None,
            "collectable_amount": random.gamma(1.5, 40, people).round(2),
            "loan_id": draw.sometimes(loans, 0.95),
            "past_due_days": random.integers(0, 120, people),
            "birth_date": draw.sometimes(draw.days(people, -365 * 60, -365 * 17), 0.9),
            "party_code": draw.pick(["debtor", "guarantor", "reference", None], people, [0.6, 0.2, 0.02, 0.18]),
        }
    )
    size = people * 3
    points = pd.DataFrame(
        {
            "contact_point_id": [f"p{number:07d}" for number in range(size)],
            "customer_id": draw.who(size),
            "kind_code": draw.pick(["mobile", "mobile", "landline", "email", "address"], size),
            "value": "x",
            "has_whatsapp": draw.pick([True, True, False, None], size),
            "latitude": None,
            "longitude": None,
            "is_valid": draw.pick([True, True, True, False], size),
            "has_consent": draw.pick([True, True, True, True, False, None], size),
            "opted_out_at": draw.sometimes(draw.moments(size, 5), 0.1),
            "updated_at": draw.moments(size, 400),
            "consent_at": draw.sometimes(draw.moments(size, 5), 0.3),
            "place_code": draw.pick(["home", "work", None], size),
            "party_code": draw.pick(["debtor", "guarantor", "reference", None], size, [0.2, 0.1, 0.1, 0.6]),
        }
    )
    count = people * 4
    owner = random.integers(0, people, count)
    happened = pd.DataFrame(
        {
            "interaction_id": [f"i{number}" for number in range(count)],
            "customer_id": draw.names[owner],
            "loan_id": draw.sometimes(loans.iloc[owner].reset_index(drop=True), 0.7).where(
                random.random(count) < 0.8, "another"
            ),
            "occurred_at": draw.moments(count, 36).where(random.random(count) < 0.5, draw.moments(count, 8)),
            "channel_code": draw.pick(list(CHANNELS), count),
            "direction_code": draw.pick(["outbound", "outbound", "outbound", "inbound"], count),
            "outcome_code": draw.pick(OUTCOMES, count, [0.38, 0.08, 0.04, 0.04, 0.25, 0.1, 0.05, 0.02, 0.02, 0.02]),
            "collector_id": None,
        }
    )
    happened["is_right_party"] = happened["outcome_code"].isin(worlds.SPOKEN)
    happened["occurred_date"] = happened["occurred_at"].dt.normalize()
    some = max(people // 8, 2)
    promised = pd.DataFrame(
        {
            "customer_id": draw.who(some),
            "due_date": draw.days(some, -5, 12),
            "promise_status_code": draw.pick(["open", "kept", "broken"], some),
        }
    )
    paid = pd.DataFrame(
        {
            "payment_id": [f"pa{number}" for number in range(2 * some)],
            "customer_id": draw.who(2 * some),
            "paid_date": draw.days(2 * some, -6, 2),
            "is_reversal": False,
            "reverses_payment_id": None,
        }
    ).astype({"reverses_payment_id": object})
    undone = paid.iloc[: some // 2].assign(
        payment_id=lambda rows: "r" + rows["payment_id"],
        is_reversal=True,
        reverses_payment_id=paid["payment_id"].iloc[: some // 2],
        paid_date=draw.days(some // 2, -3, 2),
    )
    codes = ["payment_pending", "scheduled_follow_up", "fraud", "forbearance", "dispute", "unheard_of"]
    codes += ["wrong_number", "number_not_mobile", "invalid_email"]
    facts = ContactFacts(
        planned=pd.DataFrame(
            {
                "customer_id": draw.who(some),
                "loan_id": None,
                "channel_code": draw.pick(list(CHANNELS), some),
                "planned_for": draw.days(some, -8, 1),
            }
        ),
        statuses=pd.DataFrame(
            {
                "customer_id": draw.who(some),
                "status_code": draw.pick(codes, some),
                "from_date": draw.days(some, -6, 2),
                "to_date": draw.sometimes(draw.days(some, -2, 9), 0.7),
            }
        ),
        texts=pd.DataFrame(
            {
                "customer_id": draw.who(some),
                "channel_code": draw.pick(["sms", "whatsapp"], some),
                "occurred_at": draw.moments(some, 20),
                "text": draw.pick(["Stop", "¡baja!", "NO", "no puedo hoy", "gracias"], some),
            }
        ),
        templates=_templates(random),
    )
    frames = {
        "customers": members,
        "contact_points": points,
        "interactions": happened,
        "promises": promised,
        "payments": pd.concat([paid, undone], ignore_index=True),
    }
    return frames, facts


def _templates(random: np.random.Generator) -> pd.DataFrame | None:
    kept = random.integers(0, 3)
    if kept == 0:
        return None
    status = ["paused", "approved"][kept - 1]
    return pd.DataFrame(
        {
            "channel_code": ["whatsapp", "whatsapp"],
            "template_id": ["a", "b"],
            "status_code": ["approved", status],
            "quality_code": ["red", "green"],
        }
    )


@dataclass(frozen=True)
class Compared:
    """Cases judged, cases allowed, the differences, one sentence each, and how often each kind of random rule blocked."""

    cases: int
    allowed: int
    differences: list[str]
    blocked: Counter[str]


def compare(
    country: str,
    reading: str,
    as_of: date,
    random: np.random.Generator,
    people: int,
    own_rules: int = 0,
    kind: str | None = None,
) -> Compared:
    """What engine and checker say of one random world.

    Every person and channel is put on a list: where the engine allows, with its hours; where it blocks, with half an
    hour that the rules of hours alone permit, at noon in UTC-5 where they permit none. Both ways: the checker accepts what is allowed, and names for what is blocked the rules that the engine
    names. Two things are compared less closely: which of several requirements on a contact point failed (a party is one
    where the member's own part is permitted), and the service window of a contact that has no hours anyway.

    Args:
        country: whose shipped policies hold.
        reading: which of two readings.
        as_of: contact day.
        random: of the world and of the rules.
        people: members of the world.
        own_rules: random rules of the institution beside the shipped ones.
        kind: of all of them; None draws it too.
    """
    office, zones = ZONES[country]
    frames, facts = random_world(random, as_of, zones, people)
    with tempfile.TemporaryDirectory() as folder:
        rules = load_with_random_rules(Path(folder), random, own_rules, country, zones, as_of, reading, kind)
        return _compared(country, reading, as_of, rules, frames, facts, office)


def _compared(
    country: str,
    reading: str,
    as_of: date,
    rules: PolicySet,
    frames: dict[str, pd.DataFrame],
    facts: ContactFacts,
    office: str,
) -> Compared:
    kinds = {entry.rule.id: entry.rule.kind for entry in rules.rules}
    holidays = worlds.calendar(country)
    verdicts = evaluate(
        *frames.values(),
        policies=rules,
        holidays=holidays,
        as_of=as_of,
        timezone=office,
        channels=list(CHANNELS),
        facts=facts,
    )
    noon = pd.Timestamp(as_of) + pd.Timedelta(hours=17)
    opens = _opening(frames["customers"], rules, holidays, as_of, office).reindex(verdicts.index).fillna(noon)
    strangers = set(frames["customers"].loc[frames["customers"]["party_code"].eq("reference"), "customer_id"])
    own = {entry.rule.id: entry.rule.model_dump_json(exclude_defaults=True) for entry in rules.rules}
    own = {name: text for name, text in own.items() if name.startswith(f"{POLICY}/")}
    differences: list[str] = []
    blocked: Counter[str] = Counter()
    for channel in CHANNELS:
        mine = verdicts[verdicts["channel_code"] == channel]
        listed = pd.DataFrame(
            {
                "customer_id": mine["customer_id"].to_numpy(),
                "action": channel,
                "window_start": mine["window_start"].fillna(opens[mine.index]).to_numpy(),
                "window_end": mine["window_end"].fillna(opens[mine.index] + pd.Timedelta(minutes=30)).to_numpy(),
            }
        )
        said: dict[str, set[str]] = defaultdict(set)
        for found in violations(
            listed,
            features=frames["customers"],
            **frames,
            policy_files=rules.files,
            holidays=holidays,
            country=country,
            currency="USD",
            timezone=office,
            reading=reading,
            as_of=as_of,
            facts=facts,
        ):
            said[found.customer_id].add(found.rule_id)
        for who, is_allowed, listed_rules in zip(
            mine["customer_id"], mine["is_allowed"], mine["blocked_by"], strict=True
        ):
            by_engine, by_checker = set(json.loads(listed_rules)), said.get(who, set())
            blocked.update({kinds[part] for name in by_engine for part in name.split(" with ") if part in own})
            if is_allowed != (not by_checker) or not _same(by_engine, by_checker, kinds, who in strangers):
                differences.append(
                    f"{country} {reading} {as_of} {who} {channel}: engine {sorted(by_engine)}, checker {sorted(by_checker)}"
                    + "".join(f"; {own[name]}" for name in sorted(by_engine ^ by_checker) if name in own)
                )
    return Compared(len(verdicts), int(verdicts["is_allowed"].sum()), differences, blocked)


def _opening(members: pd.DataFrame, rules: PolicySet, holidays: HolidayCalendar, as_of: date, office: str) -> pd.Series:
    """When the hours of each member and channel begin, missing where there are none, in the order of the verdicts.

    Asked of the engine about people without a past who can be reached through everything, under the rules of hours.
    """
    kinds = ["mobile", "landline", "email", "address"]
    count = len(members) * len(kinds)
    points = pd.DataFrame(
        {
            "contact_point_id": [f"h{number:07d}" for number in range(count)],
            "customer_id": np.repeat(members["customer_id"].to_numpy(), len(kinds)),
            "kind_code": kinds * len(members),
            "value": "x",
            "has_whatsapp": True,
            "latitude": None,
            "longitude": None,
            "is_valid": True,
            "has_consent": True,
            "opted_out_at": pd.NaT,
            "updated_at": pd.Timestamp(as_of),
            "consent_at": pd.NaT,
        }
    )
    kept = tuple(
        entry for entry in rules.rules if entry.rule.kind == "window" or entry.rule.id == "CONTACT-POINTS/available"
    )
    found = evaluate(
        members,
        points,
        worlds.events(),
        worlds.promises(),
        worlds.payments(),
        policies=rules.model_copy(update={"rules": kept}),
        holidays=holidays,
        as_of=as_of,
        timezone=office,
        channels=list(CHANNELS),
    )
    return found["window_start"]


def _same(by_engine: set[str], by_checker: set[str], kinds: dict[str, str], is_stranger: bool) -> bool:
    points = {"require", "stop_words"} | (set() if is_stranger else {"party"})
    at_point = [
        any(" with " in name or kinds.get(name) in points for name in names) for names in (by_engine, by_checker)
    ]
    exact = [
        {name for name in names if " with " not in name and kinds.get(name) not in {*points, "service_window"}}
        for names in (by_engine, by_checker)
    ]
    window = [{name for name in names if kinds.get(name) == "service_window"} for names in (by_engine, by_checker)]
    # a stranger through a stranger's number fails the party twice, and the engine says it once
    alike = at_point[0] <= at_point[1] if is_stranger else at_point[0] == at_point[1]
    return alike and exact[0] == exact[1] and window[0] <= window[1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=1_000_000)
    parser.add_argument("--people", type=int, default=2_000, help="people of one world; each has eight channels")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rules", type=int, default=6, help="random rules of an institution in each world, at most")
    given = parser.parse_args()
    begun, judged, allowed, number = time.perf_counter(), 0, 0, 0
    blocked: Counter[str] = Counter()
    while judged < given.cases:
        country = list(ZONES)[number % len(ZONES)]
        reading = READINGS[number // len(ZONES) % 2]
        as_of = DAYS[number % len(DAYS)]
        random = np.random.default_rng([given.seed, number])
        own_rules = int(random.integers(0, given.rules + 1))
        found = compare(country, reading, as_of, random, given.people, own_rules)
        if found.differences:
            sys.exit(f"{len(found.differences)} differences, for example\n" + "\n".join(found.differences[:5]))
        judged, allowed, number = judged + found.cases, allowed + found.allowed, number + 1
        blocked += found.blocked
    seconds = time.perf_counter() - begun
    sys.stdout.write(f"{judged:,} cases in {number} worlds, {allowed:,} allowed, no difference, {seconds:.0f} s\n")
    if blocked:
        sys.stdout.write("Blocked by random rules: " + ", ".join(f"{kind} {n:,}" for kind, n in blocked.most_common()))
        sys.stdout.write("\n")


if __name__ == "__main__":
    main()
