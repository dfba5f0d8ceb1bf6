"""A changed rule changes a verdict, whatever is changed of it; and a contact that any rule forbids stops the list."""

from __future__ import annotations

import copy
import functools
import json
from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any

import pandas as pd
import pytest
import yaml
from pydantic import TypeAdapter

from puntual.decision.checker import violations
from puntual.decision.policies import PolicySet, load_policies
from puntual.decision.rule_kinds import CHANNELS, OF_A_LIST, Rule
from puntual.decision.rules import evaluate
from puntual.errors import RuleError
from tests.unit.decision import worlds
from tests.unit.decision.rich import Rich, rich_world
from tests.unit.decision.worlds import POLICIES

READINGS = ["strict_default", "alternative_reading"]
COUNTRIES = ["EC", "MX", "CO", "CL", "PE", "US"]
# Tuesday, Sunday, and a holiday that all have
DAYS = [date(2026, 6, 30), date(2026, 6, 28), date(2026, 12, 25)]
SHIPPED = {
    file.stem: yaml.safe_load(file.read_text(encoding="utf-8"))
    for file in sorted(POLICIES.glob("*.yaml"))
    if isinstance(yaml.safe_load(file.read_text(encoding="utf-8")), dict)
    and "scope" in yaml.safe_load(file.read_text(encoding="utf-8"))
}


@functools.cache
def in_force(country: str, reading: str, as_of: date) -> PolicySet:
    return load_policies(POLICIES, None, country, as_of, reading=reading)


@functools.cache
def world(country: str, reading: str, as_of: date, only: str | None = None) -> Rich:
    return rich_world(in_force(country, reading, as_of), as_of, only)


_FRAMES: dict[int, dict[str, pd.DataFrame]] = {}


def frames_of(made: Rich) -> dict[str, pd.DataFrame]:
    """Worlds are cached and never change: their frames are made once."""
    return _FRAMES.setdefault(id(made), {}) or _fill(made)


def _fill(made: Rich) -> dict[str, pd.DataFrame]:
    _FRAMES[id(made)].update(made.frames())
    return _FRAMES[id(made)]


def judge(policies: PolicySet, as_of: date, made: Rich) -> pd.DataFrame:
    return evaluate(
        **frames_of(made),
        policies=policies,
        holidays=worlds.calendar(policies.country),
        as_of=as_of,
        timezone=made.zone,
        channels=list(CHANNELS),
        facts=made.facts(),
    )


@functools.cache
def before(country: str, reading: str, as_of: date, only: str | None = None) -> pd.DataFrame:
    return judge(in_force(country, reading, as_of), as_of, world(country, reading, as_of, only))


def with_mutant(policies: PolicySet, mutant: dict[str, Any], as_of: date) -> PolicySet:
    """The policies with one rule exchanged for its mutant, or without it where that is not in force."""
    rule = TypeAdapter(Rule).validate_python(mutant)
    kept = [
        entry.model_copy(update={"rule": rule}) if entry.rule.id == rule.id else entry
        for entry in policies.rules
        if entry.rule.id != rule.id or rule.in_force(as_of)
    ]
    return policies.model_copy(update={"rules": tuple(kept)})


def mutations(rule: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Names and changed copies of a rule as it stands in its file."""

    def changed(**keys: Any) -> dict[str, Any]:
        return copy.deepcopy(rule) | keys

    yield "effective from tomorrow on", changed(effective_from=date(2030, 1, 1))
    channels = list(CHANNELS) if rule["channels"] == "all" else rule["channels"]
    if len(channels) > 1:
        fewer = changed(channels=channels[:-1])
        if "point_kinds" in rule:
            fewer["point_kinds"] = {name: rule["point_kinds"][name] for name in channels[:-1]}
        if not (rule["kind"] == "require" and "point_kinds" in rule):
            yield "a channel dropped", fewer
    if rule["kind"] == "max_count":
        yield "n + 1", changed(n=rule["n"] + 1)
        days = {"calendar_day": 1, "iso_week": 7}.get(rule["window"]) or int(rule["window"].split(":")[1])
        yield "a longer window", changed(window=f"rolling_days:{days + 1}")
        yield "effective contacts alone", changed(counts="effective")
        if rule.get("scope") == "person_debt":
            yield "the person's debts together", changed(scope="person")
    if rule["kind"] in {"min_spacing", "cooloff"} and rule.get("days"):
        yield (
            "days - 1",
            changed(days=rule["days"] - 1) if rule["days"] > 1 else changed(effective_from=date(2030, 1, 1)),
        )
        yield "days + 1", changed(days=rule["days"] + 1)
        yield "the first day counts, or not", changed(day_of_event_counts=not rule.get("day_of_event_counts", False))
    if rule.get("scope") == "person_debt" and rule["kind"] == "cooloff":
        yield "all debts", changed(scope="person")
    if rule.get("allow"):
        yield "no reminder", changed(allow=[])
    if rule.get("event_channels"):
        yield "other conversations", changed(event_channels=["visit"])
    if rule["kind"] == "window":
        wider = {day: [_wider(one) for one in spans] for day, spans in rule["weekdays"].items()}
        if wider != rule["weekdays"]:
            yield "an hour more", changed(weekdays=wider)
        if any(not spans for spans in rule["weekdays"].values()):
            yield (
                "closed days opened",
                changed(weekdays={day: spans or ["09:00-10:00"] for day, spans in wider.items()}),
            )
        yield "holidays the other way", changed(holidays="open" if rule["holidays"] == "blocked" else "blocked")
    if rule.get("where"):
        yield "other provinces", changed(where={"province": ["Elsewhere"]})
    if rule["kind"] == "forbid" and rule.get("status"):
        yield "another status", changed(status="nobody_has_it")
    if rule["kind"] == "known_status":
        for status in rule["statuses"]:
            yield f"without {status}", changed(statuses=[one for one in rule["statuses"] if one != status])
        yield "one more status", changed(statuses=[*rule["statuses"], "strange"])
    if rule["kind"] == "party":
        for party in rule["allowed"]:
            yield f"without {party}", changed(allowed=[one for one in rule["allowed"] if one != party])
    if rule["kind"] == "min_age":
        yield "a year less", changed(years=rule["years"] - 1)
    if rule["kind"] == "min_amount":
        yield "a cent less", changed(amount=round(rule["amount"] - 0.01, 2))
    if rule["kind"] == "stop_words":
        for word in rule["words"]:
            yield f"without {word}", changed(words=[one for one in rule["words"] if one != word])
    if rule["kind"] == "service_window":
        yield "an hour less", changed(hours=rule["hours"] - 1)
        yield "an hour more", changed(hours=rule["hours"] + 1)
    if rule["kind"] == "require" and "point_kinds" in rule:
        for channel, kinds in rule["point_kinds"].items():
            others = [kind for kind in ("mobile", "email", "address") if kind not in kinds]
            yield f"other points of {channel}", changed(point_kinds=rule["point_kinds"] | {channel: others[:1]})


def _wider(span: str) -> str:
    first, last = span.split("-")
    return f"{first}-{min(int(last[:2]) + 1, 24):02d}:00" if last != "24:00" else span


QUICK = {"EC-BASE", "INST-DEFAULT"}
"""The others take minutes together and are tried with the long tests."""

CASES = [
    pytest.param(policy_id, number, id=rule["id"], marks=[] if policy_id in QUICK else [pytest.mark.slow])
    for policy_id, policy in SHIPPED.items()
    for number, rule in enumerate(policy["rules"])
    if rule["kind"] not in OF_A_LIST
]


@pytest.mark.parametrize(("policy_id", "number"), CASES)
def test_every_mutation_of_a_shipped_rule_changes_a_verdict(policy_id: str, number: int):
    policy = SHIPPED[policy_id]
    rule = policy["rules"][number]
    country = policy["scope"].get("jurisdiction", "EC")
    reading = rule.get("readings", READINGS)[0]
    for name, mutant in mutations(rule):
        assert any(_differs(mutant, country, reading, day) for day in DAYS), (
            f"{rule['id']}: nobody's verdict changes with {name}"
        )


def _differs(mutant: dict[str, Any], country: str, reading: str, day: date) -> bool:
    only = mutant["id"]
    changed = with_mutant(in_force(country, reading, day), mutant, day)
    try:
        found = judge(changed, day, world(country, reading, day, only))
    except RuleError:
        return True  # the engine refuses to judge by it at all
    return not found.equals(before(country, reading, day, only))


@pytest.mark.parametrize(
    ("country", "reading"),
    [
        pytest.param(country, reading, marks=[] if (country, reading) == ("EC", READINGS[0]) else [pytest.mark.slow])
        for country in COUNTRIES
        for reading in READINGS
    ],
)
def test_a_contact_that_a_rule_forbids_is_caught_by_the_checker(country: str, reading: str):
    """The engine's verdict is overruled for one member and channel of every rule: the checker names that rule."""
    seen: set[str] = set()
    expected: set[str] = set()
    for as_of in DAYS[:2]:
        made = world(country, reading, as_of)
        rules = in_force(country, reading, as_of)
        expected |= {entry.rule.id for entry in rules.rules if entry.rule.kind not in OF_A_LIST}
        verdicts = before(country, reading, as_of)
        wrong = (
            verdicts[~verdicts["is_allowed"]].assign(by=lambda rows: rows["blocked_by"].map(json.loads)).explode("by")
        )
        one_each = wrong.drop_duplicates("by")
        one_each = one_each[~one_each["by"].isin(seen)]
        noon = worlds.at(f"{as_of} 12:00", made.zone)
        for row in one_each.itertuples(index=False):
            contact = pd.DataFrame(
                {
                    "customer_id": [row.customer_id],
                    "action": [row.channel_code],
                    "window_start": [noon],
                    "window_end": [noon + timedelta(minutes=30)],
                }
            )
            frames = frames_of(made)
            found = violations(
                contact,
                features=frames["customers"],
                **frames,
                policy_files=rules.files,
                holidays=worlds.calendar(country),
                country=country,
                currency="USD",
                timezone=made.zone,
                reading=reading,
                as_of=as_of,
                facts=made.facts(),
            )
            named = {name for violation in found for name in violation.rule_id.split(" with ")}
            assert row.by in named, (
                f"{row.by} blocks {row.customer_id} by {row.channel_code}, and the checker says {found}"
            )
            seen.add(row.by)
    assert expected == seen, f"no member of the world meets {sorted(expected - seen)}"
