"""Whatever is changed of a rule, the checker sees it; and a contact that any rule forbids stops the list."""

from __future__ import annotations

import copy
import functools
import json
from collections.abc import Iterable, Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

from puntual.decision.checker import violations
from puntual.decision.duties import overdue, owed
from puntual.decision.fees import chargeable
from puntual.decision.policies import PolicySet, load_policies
from puntual.decision.rule_kinds import CHANNELS, OF_A_LIST
from puntual.decision.rules import evaluate
from puntual.decision.sending import shared_limits
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


calendar = functools.cache(worlds.calendar)
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
        holidays=calendar(policies.country),
        as_of=as_of,
        timezone=made.zone,
        channels=list(CHANNELS),
        facts=made.facts(),
    )


@functools.cache
def before(country: str, reading: str, as_of: date, only: str | None = None) -> pd.DataFrame:
    return judge(in_force(country, reading, as_of), as_of, world(country, reading, as_of, only))


def mutations(rule: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Names and changed copies of a rule as it stands in its file."""

    def changed(**keys: Any) -> dict[str, Any]:
        return copy.deepcopy(rule) | keys

    yield "effective from tomorrow on", changed(effective_from=date(2030, 1, 1))
    yield "effective until yesterday", changed(effective_to=date(2020, 1, 1))
    if len(rule.get("readings", READINGS)) == 1:
        yield "the other reading", changed(readings=[one for one in READINGS if one not in rule["readings"]])
    channels = list(CHANNELS) if rule["channels"] == "all" else rule["channels"]
    if len(channels) > 1:
        fewer = changed(channels=channels[:-1])
        if "point_kinds" in rule:
            fewer["point_kinds"] = {name: rule["point_kinds"][name] for name in channels[:-1]}
        if not (rule["kind"] == "require" and "point_kinds" in rule):
            yield "a channel dropped", fewer
    if rule["kind"] == "max_count":
        yield "n + 1", changed(n=rule["n"] + 1)
        if len(channels) > 1:
            yield "channels the other way", changed(across="each" if rule["across"] == "together" else "together")
        others = [one for one in CHANNELS if one not in channels]
        if others and SHIPPED[rule["id"].split("/")[0]]["scope"].get("channel") is None:
            yield "one more channel", changed(channels=[*channels, others[0]])
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


CASES = [
    pytest.param(policy_id, number, id=rule["id"])
    for policy_id, policy in SHIPPED.items()
    for number, rule in enumerate(policy["rules"])
    if rule["kind"] not in OF_A_LIST
]
REFUSED = {
    ("CONTACT-POINTS/available", "effective from tomorrow on"),
    ("CONTACT-POINTS/available", "effective until yesterday"),
}
"""What the engine cannot judge by at all: then it says so and permits nobody."""


_DUMPER = getattr(yaml, "CSafeDumper", yaml.SafeDumper)


def alone(rule: dict[str, Any], country: str, folder: Path) -> Path:
    """A folder with one rule and what no contact is judged without: the country's hours, and who is reached by what.

    So a contact that the rule forbids is forbidden by nothing else, and a change of the rule cannot hide behind others.
    """
    folder.mkdir(parents=True)
    for policy in SHIPPED.values():
        if policy["scope"].get("jurisdiction") not in {None, country}:
            continue
        kept = []
        for one in policy["rules"]:
            if one["id"] == rule["id"]:
                kept.append(rule)
            elif (one["kind"] == "window" and not one.get("where")) or "point_kinds" in one:
                kept.append(one)
        if kept:
            content = yaml.dump(policy | {"rules": kept, "obligations": []}, Dumper=_DUMPER, allow_unicode=True)
            (folder / f"{policy['id']}.yaml").write_text(content, encoding="utf-8")
    return folder


@functools.cache
def content_of(text: str) -> Any:
    return yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))


@pytest.fixture
def read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Engine and checker each open every file for every mutant; the same text is the same content."""
    monkeypatch.setattr(yaml, "safe_load", content_of)


@pytest.mark.usefixtures("read_once")
@pytest.mark.parametrize(("policy_id", "number"), CASES)
def test_every_mutation_of_a_shipped_rule_is_caught_by_the_checker(policy_id: str, number: int, tmp_path: Path):
    """One of engine and checker reads a mutated file, the other the shipped one: whatever the looser permits is refused.

    A mutation that permits nobody more and nobody less would be one that nobody can catch.
    """
    policy = SHIPPED[policy_id]
    rule = policy["rules"][number]
    country = policy["scope"].get("jurisdiction", "EC")
    reading = rule.get("readings", READINGS)[0]
    shipped = alone(rule, country, tmp_path / "shipped")
    verdicts: dict[date, pd.DataFrame] = {}
    for place, (name, mutant) in enumerate(mutations(rule)):
        mutated = alone(mutant, country, tmp_path / str(place))
        caught = 0
        for day in DAYS:
            made = world(country, reading, day, rule["id"])
            if day not in verdicts:
                verdicts[day] = judge(load_policies(shipped, None, country, day, reading=reading), day, made)
            try:
                other = judge(load_policies(mutated, None, country, day, reading=reading), day, made)
            except RuleError:
                assert (rule["id"], name) in REFUSED
                caught += 1
                break
            looser, tighter = more(other, verdicts[day]), more(verdicts[day], other)
            every_file = in_force(country, reading, day).files
            unseen = looser[~refused(looser, made, day, country, reading, every_file, by=rule["id"])]
            assert unseen.empty, f"{rule['id']}, {name}: not caught\n{unseen}"
            unseen = tighter[~refused(tighter, made, day, country, reading, tuple(mutated.iterdir()))]
            assert unseen.empty, f"{rule['id']}, {name}: not refused by the mutated file\n{unseen}"
            caught += len(looser) + len(tighter)
            if caught:
                break
        assert caught, f"{rule['id']}: nobody is permitted more or less with {name}"


def more(these: pd.DataFrame, than_those: pd.DataFrame) -> pd.DataFrame:
    """Contacts that one set of verdicts permits and the other does not: at all, or not at these hours."""
    assert these["customer_id"].equals(than_those["customer_id"])
    is_longer = these["window_start"].lt(than_those["window_start"]) | these["window_end"].gt(than_those["window_end"])
    found = these[these["is_allowed"] & (~than_those["is_allowed"] | is_longer)]
    return found.rename(columns={"channel_code": "action"})


def refused(
    contacts: pd.DataFrame,
    made: Rich,
    day: date,
    country: str,
    reading: str,
    files: Iterable[Path],
    by: str | None = None,
) -> pd.Series:
    """Which of ``contacts`` the checker refuses by ``files``; ``by`` the rule of that id, among others perhaps."""
    if contacts.empty:
        return pd.Series(False, index=contacts.index)
    frames = frames_of(made)
    found = violations(
        contacts,
        features=frames["customers"],
        **frames,
        policy_files=files,
        holidays=calendar(country),
        country=country,
        currency="USD",
        timezone=made.zone,
        reading=reading,
        as_of=day,
        facts=made.facts(),
    )
    named = {(one.customer_id, one.action) for one in found if by is None or by in one.rule_id.split(" with ")}
    keys = zip(contacts["customer_id"], contacts["action"], strict=True)
    return pd.Series([key in named for key in keys], index=contacts.index, dtype=bool)


# ------------------------------------------------------------------------------------------------- rules of a list


def sent_before(made: int, channel: str = "sms") -> pd.DataFrame:
    """Yesterday's messages to members who are not on the list."""
    return worlds.events(
        *({"customer_id": f"s{one}", "channel_code": channel, "occurred_at": NOON} for one in range(made))
    )


NOON = worlds.at("2026-06-29 12:00")
MOST = {
    "id": "OWN-TIER/members",
    "kind": "max_users",
    "channels": ["sms", "whatsapp"],
    "window": "rolling_hours:24",
    "n": 5,
}
TIER = {
    "id": "OWN-TIER",
    "version": 1,
    "title": "Messaging tier",
    "scope": {"institution": "own"},
    "timezone": "institution",
    "effective_from": None,
    "effective_to": None,
    "confidence": "memory",
    "sources": ["PROVIDER-1"],
}


def tier(rule: dict[str, Any], folder: Path) -> tuple[PolicySet, Path]:
    folder.mkdir()
    file = folder / "OWN-TIER.yaml"
    file.write_text(yaml.safe_dump(TIER | {"rules": [rule]}), encoding="utf-8")
    return load_policies(POLICIES, folder, "EC", worlds.TUESDAY), file


def room(policies: PolicySet) -> int:
    """How many more members the engine lets the two channels reach, two having been reached yesterday."""
    given: dict[str, Any] = {"policies": policies, "as_of": worlds.TUESDAY, "timezone": worlds.QUITO}
    shared = shared_limits(sent_before(2), channels=["sms", "whatsapp"], **given)
    return min([9, *(limit.count for limit in shared)])


def caught_in_a_list(members: int, file: Path) -> bool:
    """Whether the checker refuses a list of so many messages by the rule of ``file``."""
    people = [{"customer_id": f"m{one}"} for one in range(members)]
    contacts = pd.DataFrame(
        {
            "customer_id": [one["customer_id"] for one in people],
            "action": "sms",
            "window_start": worlds.at("2026-06-30 09:00"),
            "window_end": worlds.at("2026-06-30 12:00"),
        }
    )
    customers = worlds.customers(*people)
    found = violations(
        contacts,
        features=customers,
        customers=customers,
        contact_points=worlds.points(),
        interactions=sent_before(2),
        promises=worlds.promises(),
        payments=worlds.payments(),
        policy_files=[file],
        holidays=calendar("EC"),
        country="EC",
        currency="USD",
        timezone=worlds.QUITO,
        reading=READINGS[0],
        as_of=worlds.TUESDAY,
    )
    return MOST["id"] in {one.rule_id for one in found}


@pytest.mark.parametrize(
    ("change", "is_looser"),
    [
        ({"n": 6}, True),
        ({"n": 4}, False),
        ({"channels": ["whatsapp"]}, True),
        ({"effective_from": date(2030, 1, 1)}, True),
    ],
    ids=["one member more", "one member less", "a channel dropped", "not in force"],
)
def test_every_mutation_of_a_limit_of_members_is_caught_by_the_checker(
    change: dict[str, Any], is_looser: bool, tmp_path: Path
):
    """The list is as long as the looser reading lets it be: the other refuses it, and one as long as its own passes."""
    (policies, file), (mutated, other) = tier(MOST, tmp_path / "own"), tier(MOST | change, tmp_path / "mutated")
    assert room(policies) == 3
    assert (room(mutated) > 3) == is_looser
    assert room(mutated) != 3
    assert not caught_in_a_list(room(policies), file)
    assert not caught_in_a_list(room(mutated), other)
    assert caught_in_a_list(max(room(policies), room(mutated)), file if is_looser else other)


DUE = pd.DataFrame({"customer_id": [f"d{age}" for age in range(25)]}).assign(
    due_date=[pd.Timestamp(worlds.TUESDAY) - pd.Timedelta(days=age) for age in range(25)]
)


def alarms_of(policies: PolicySet, contacts: pd.DataFrame) -> list[tuple[Any, ...]]:
    """Duties owed and overdue, for members whose due date was missed 0 to 24 days ago."""
    given: dict[str, Any] = {
        "policies": policies,
        "holidays": calendar("CL"),
        "as_of": worlds.TUESDAY,
        "timezone": "America/Santiago",
    }
    people = worlds.customers(*({"customer_id": name} for name in DUE["customer_id"]))
    found = [duty(DUE, people, contacts, **given) for duty in (owed, overdue)]
    return [row for frame in found for row in frame.itertuples(index=False, name=None)]


DUTIES = [rule for policy in SHIPPED.values() for rule in policy["rules"] if rule["kind"] == "min_count_by"]


@pytest.mark.parametrize("rule", DUTIES, ids=lambda rule: rule["id"])
def test_every_mutation_of_a_duty_changes_what_is_owed_or_overdue(rule: dict[str, Any], tmp_path: Path):
    """Each member was tried once, on the day after the due date, through one of the rule's channels."""
    contacts = worlds.events(
        *(
            {
                "customer_id": row.customer_id,
                "occurred_at": row.due_date + pd.Timedelta(days=1, hours=15),
                "channel_code": rule["channels"][-1] if isinstance(rule["channels"], list) else "call",
            }
            for row in DUE.iloc[::2].itertuples(index=False)
        )
    )

    def judged(changed: dict[str, Any], name: str) -> list[tuple[Any, ...]]:
        folder = alone(changed, "CL", tmp_path / name)
        return alarms_of(load_policies(folder, None, "CL", worlds.TUESDAY), contacts)

    before = judged(rule, "shipped")
    assert before
    changes = {
        "a day more": {"days": rule["days"] + 1},
        "a day less": {"days": rule["days"] - 1},
        "a contact more": {"n": rule["n"] + 1},
        "the other count": {"counts": "attempt" if rule.get("counts") == "effective" else "effective"},
        "other channels": {"channels": ["web_chat"]},
        "not in force": {"effective_from": date(2030, 1, 1)},
    }
    for name, change in changes.items():
        assert judged(rule | change, name) != before, f"{rule['id']}: nothing is owed or overdue otherwise with {name}"


FEES = [(policy, rule) for policy in SHIPPED.values() for rule in policy["rules"] if rule["kind"] == "fee"]


@pytest.mark.parametrize(("policy", "rule"), FEES, ids=lambda one: one["id"])
def test_every_mutation_of_a_fee_changes_what_may_be_charged(
    policy: dict[str, Any], rule: dict[str, Any], tmp_path: Path
):
    """Loans on either side of the first day with charges, with none, one tried and one spoken contact of the month."""
    country, first = policy["scope"]["jurisdiction"], rule["not_before_past_due_days"]
    channels = list(CHANNELS) if rule["channels"] == "all" else list(rule["channels"])
    loans = pd.DataFrame(
        [
            {"loan_id": f"L{late}{past}", "customer_id": f"c{late}{past}", "past_due_days": late}
            for late in range(max(first - 2, 0), first + 3)
            for past in ("", "no_answer", "right_party")
        ]
    )
    made = worlds.events(
        *(
            {"customer_id": row.customer_id, "occurred_at": NOON, "channel_code": channels[0], "outcome_code": past}
            for row in loans.itertuples(index=False)
            if (past := row.loan_id.lstrip("L0123456789"))
            for _ in range(rule["n"])
        )
    )
    made["loan_id"] = "L" + made["customer_id"].str[1:]

    def judged(changed: dict[str, Any], name: str) -> list[list[bool]]:
        policies = load_policies(alone(changed, country, tmp_path / name), None, country, worlds.TUESDAY)
        return chargeable(loans, made, policies=policies, as_of=worlds.TUESDAY, channels=list(CHANNELS)).tolist()

    before = judged(rule, "shipped")
    changes = {
        "a charge more": {"n": rule["n"] + 1},
        "a charge less": {"n": rule["n"] - 1},
        "the other count": {"charge_requires": "attempt" if rule["charge_requires"] == "effective" else "effective"},
        "a day later": {"not_before_past_due_days": first + 1},
        "a channel dropped": {"channels": channels[:-1]},
        "not in force": {"effective_from": date(2030, 1, 1)},
    } | ({"a day earlier": {"not_before_past_due_days": first - 1}} if first else {})
    for name, change in changes.items():
        assert judged(rule | change, name) != before, f"{rule['id']}: the same may be charged with {name}"


# --------------------------------------------------------------------------------------------- overruled verdicts


@pytest.mark.usefixtures("read_once")
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
                holidays=calendar(country),
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
