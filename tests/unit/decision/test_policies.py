"""Policy files: what is refused, what is listed as not enforced, and that an institution can only tighten."""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

from puntual.decision.checker import violations
from puntual.decision.policies import OTHER_FILES, Ladder, load_ladder, load_policies
from puntual.errors import RuleError
from tests.unit.decision import worlds
from tests.unit.decision.worlds import POLICIES, TUESDAY

COUNTRIES = ["EC", "MX", "CO", "CL", "PE"]
SHIPPED = sorted(file for file in POLICIES.glob("*.yaml") if file.stem not in OTHER_FILES)


def own(folder: Path, *rules: dict[str, Any], **top: Any) -> Path:
    policy = {
        "id": "OWN",
        "version": 1,
        "title": "own",
        "scope": {"institution": "own"},
        "timezone": "institution",
        "effective_from": None,
        "effective_to": None,
        "confidence": "memory",
        "sources": ["M"],
        "rules": list(rules),
    } | top
    (folder / f"{policy['id']}.yaml").write_text(yaml.safe_dump(policy), encoding="utf-8")
    return folder


def load(folder: Path | None, country: str = "EC", as_of: date = TUESDAY, **options: Any) -> Any:
    return load_policies(POLICIES, folder, country, as_of, **options)


@pytest.mark.parametrize("country", COUNTRIES)
@pytest.mark.parametrize("reading", ["strict_default", "alternative_reading"])
def test_shipped_policies_load_for_every_country(country: str, reading: str):
    found = load(None, country, reading=reading)
    assert found.has_jurisdiction
    assert {"INST-DEFAULT", "CH-WHATSAPP", "PERSON-STATUS"} <= set(found.digests)
    assert all(len(digest) == 64 for digest in found.digests.values())
    assert all(entry.sources for entry in found.rules)
    assert all(entry.reason for entry in found.not_enforced)


@pytest.mark.parametrize("file", SHIPPED, ids=lambda file: file.stem)
def test_each_shipped_obligation_is_written_in_both_languages(file: Path):
    for obligation in yaml.safe_load(file.read_text(encoding="utf-8")).get("obligations", []):
        for part in ("text", "reason"):
            spanish = obligation.get(f"{part}_es")
            assert spanish, f"{obligation['id']} has no {part}_es"
            assert spanish != obligation[part]
            code = re.compile(r"[A-Z]{2,}[A-Z0-9-]*/[a-z_]+|\b[a-z]+_[a-z_]+\b|\d+")
            assert set(code.findall(obligation[part])) == set(code.findall(spanish)), obligation["id"]


@pytest.mark.parametrize(("country", "currency"), [("MX", "USD"), ("EC", "MXN"), ("US", "EUR")])
def test_what_is_published_as_not_enforced_is_in_both_languages(country: str, currency: str):
    for entry in load(None, country, currency=currency).not_enforced:
        assert set(entry.published()) == {"id", "text", "text_es", "reason", "reason_es"}


def test_an_institutions_obligation_may_be_in_one_language(tmp_path: Path):
    duty = {"id": "OWN/duty", "text": "Se saluda.", "reason": "Conducta."}
    listed = load(own(tmp_path, obligations=[duty])).not_enforced
    assert duty in [entry.published() for entry in listed]
    with pytest.raises(RuleError, match="text_es"):
        load(own(tmp_path, obligations=[duty | {"text_es": ""}]))


def test_a_country_without_policy_says_so():
    assert not load(None, "CZ").has_jurisdiction


def test_a_law_counts_from_its_day():
    assert load(None, "CO", date(2023, 10, 10)).has_jurisdiction
    assert not load(None, "CO", date(2023, 10, 9)).has_jurisdiction


@pytest.mark.parametrize("country", COUNTRIES)
@pytest.mark.parametrize("reading", ["strict_default", "alternative_reading"])
def test_every_shipped_country_gives_hours_for_every_channel(country: str, reading: str):
    assert load(None, country, reading=reading).without_hours == ()


def test_a_minimum_in_another_currency_is_listed_not_compared():
    found = load(None, "MX", currency="MXN")
    assert "INST-DEFAULT/minimum_amount" in {entry.id for entry in found.not_enforced}
    assert "INST-DEFAULT/minimum_amount" not in {entry.rule.id for entry in found.rules}


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        pytest.param({"id": "OWN/x", "kind": "curfew", "channels": "all"}, "not enforced", id="unknown kind"),
        pytest.param(
            {"id": "OWN/x", "kind": "max_count", "channels": "all", "window": "calendar_day", "n": 1, "cap": 2},
            "unknown key",
            id="unknown key",
        ),
        pytest.param(
            {"id": "OWN/x", "kind": "max_count", "channels": "all", "window": "fortnight", "n": 1},
            "calendar_day",
            id="unknown window",
        ),
        pytest.param(
            {"id": "OWN/x", "kind": "max_count", "channels": ["fax"], "window": "iso_week", "n": 1}, "fax", id="channel"
        ),
        pytest.param({"id": "OWN/x", "kind": "cooloff", "channels": "all", "event": "payment"}, "days", id="no days"),
        pytest.param({"id": "MINE/x", "kind": "forbid", "channels": "all"}, "must begin with OWN/", id="foreign id"),
        pytest.param(
            {"id": "OWN/x", "kind": "window", "channels": "all", "weekdays": {"mon": []}, "holidays": "open"},
            "weekdays must name",
            id="half a week",
        ),
    ],
)
def test_a_rule_that_cannot_be_enforced_is_refused_with_the_file(rule: dict[str, Any], message: str, tmp_path: Path):
    with pytest.raises(RuleError, match=message) as caught:
        load(own(tmp_path, rule))
    assert "OWN.yaml" in str(caught.value)


def test_two_rules_of_one_name_are_refused(tmp_path: Path):
    rule = {"id": "OWN/x", "kind": "forbid", "channels": ["visit"]}
    with pytest.raises(RuleError, match="OWN/x stands twice"):
        load(own(tmp_path, rule, rule))


def test_the_name_of_the_file_is_the_id(tmp_path: Path):
    own(tmp_path)
    (tmp_path / "OWN.yaml").rename(tmp_path / "OTHER.yaml")
    with pytest.raises(RuleError, match="must be the name of the file"):
        load(tmp_path)


def test_broken_yaml_names_the_file(tmp_path: Path):
    (tmp_path / "OWN.yaml").write_text("id: [", encoding="utf-8")
    with pytest.raises(RuleError, match=r"OWN\.yaml"):
        load(tmp_path)


WEEK = {day: ["07:00-20:00"] for day in ("mon", "tue", "wed", "thu", "fri")} | {"sat": [], "sun": []}


@pytest.mark.parametrize(
    ("rule", "theirs"),
    [
        pytest.param(
            {"kind": "window", "channels": "all", "weekdays": WEEK | {"sat": ["09:00-10:00"]}, "holidays": "blocked"},
            "EC-BASE/hours",
            id="saturday",
        ),
        pytest.param(
            {
                "kind": "window",
                "channels": ["call"],
                "weekdays": WEEK | {"mon": ["07:00-20:30"]},
                "holidays": "blocked",
            },
            "EC-BASE/hours",
            id="later hours",
        ),
        pytest.param(
            {"kind": "window", "channels": "all", "weekdays": WEEK, "holidays": "open"}, "EC-BASE/hours", id="holidays"
        ),
        pytest.param(
            {"kind": "max_count", "channels": "all", "window": "iso_week", "n": 4},
            "INST-DEFAULT/three_a_week",
            id="count",
        ),
        pytest.param(
            {"kind": "cooloff", "channels": "all", "event": "payment", "days": 1},
            "INST-DEFAULT/recent_payment",
            id="rest",
        ),
        pytest.param(
            {"kind": "min_amount", "channels": "all", "basis": "collectable_amount", "amount": 1, "currency": "USD"},
            "INST-DEFAULT/minimum_amount",
            id="amount",
        ),
        pytest.param(
            {"kind": "known_status", "channels": "all", "statuses": ["active", "vip"]},
            "PERSON-STATUS/known",
            id="status",
        ),
    ],
)
def test_an_institution_cannot_loosen_and_both_rules_are_named(rule: dict[str, Any], theirs: str, tmp_path: Path):
    with pytest.raises(RuleError, match=f"OWN/x is looser than {theirs}"):
        load(own(tmp_path, {"id": "OWN/x", **rule}))


@pytest.mark.parametrize(
    "rule",
    [
        {"kind": "window", "channels": "all", "weekdays": WEEK | {"mon": ["09:00-18:00"]}, "holidays": "blocked"},
        {"kind": "max_count", "channels": "all", "window": "iso_week", "n": 2},
        {"kind": "max_count", "channels": ["call"], "window": "iso_week", "n": 4},
        {"kind": "cooloff", "channels": "all", "event": "payment", "days": 5},
        {"kind": "forbid", "channels": ["visit"]},
    ],
    ids=["hours", "count", "a count of part of the channels", "rest", "no visits"],
)
def test_an_institution_may_tighten(rule: dict[str, Any], tmp_path: Path):
    found = load(own(tmp_path, {"id": "OWN/x", **rule}))
    assert "OWN/x" in {entry.rule.id for entry in found.rules}
    assert tmp_path / "OWN.yaml" in found.files


def test_an_institution_may_bring_the_policy_of_a_country_that_is_not_shipped(tmp_path: Path):
    hours = {"id": "OWN/hours", "kind": "window", "channels": "all", "weekdays": WEEK, "holidays": "open"}
    found = load(own(tmp_path, hours, scope={"jurisdiction": "CZ"}, timezone="Europe/Prague"), "CZ")
    assert found.has_jurisdiction
    assert found.fixed_timezone == "Europe/Prague"


def test_the_ladder_has_no_gap(tmp_path: Path):
    assert load_ladder(POLICIES).steps[0].min_days == 0
    with pytest.raises(ValueError, match="gap or overlap"):
        Ladder.model_validate(
            {
                "id": "L",
                "version": 1,
                "steps": [
                    {"min_days": 0, "max_days": 5, "channels": ["sms"]},
                    {"min_days": 7, "max_days": None, "channels": ["call"]},
                ],
            }
        )
    (tmp_path / "ladder.yaml").write_text("steps: []", encoding="utf-8")
    with pytest.raises(RuleError, match="not a valid ladder"):
        load_ladder(POLICIES, tmp_path)


@pytest.mark.parametrize(
    ("readings", "rule"),
    [
        ({}, "EC-BASE/one_a_day"),
        ({"EC-BASE/one_a_day": "alternative_reading"}, "EC-BASE/one_a_day_per_channel"),
        ({"EC-BASE": "alternative_reading"}, "EC-BASE/one_a_day_per_channel"),
        ({"EC-BASE": "alternative_reading", "EC-BASE/one_a_day": "strict_default"}, "EC-BASE/one_a_day"),
    ],
)
def test_a_reading_can_be_chosen_for_a_question_or_a_policy(readings: dict[str, str], rule: str):
    """The other questions keep theirs, and engine and checker agree on what holds."""
    found = load(None, "EC", readings=readings)
    mine = {entry.rule.id for entry in found.rules}
    assert mine & {"EC-BASE/one_a_day", "EC-BASE/one_a_day_per_channel"} == {rule}
    assert "CONTACT-POINTS/consent" in mine
    is_strict = rule == "EC-BASE/one_a_day"
    assert found.readings["EC-BASE/one_a_day"] == ("strict_default" if is_strict else "alternative_reading")
    assert found.readings["CONTACT-POINTS/consent"] == "strict_default"

    past = worlds.events({"occurred_at": worlds.at("2026-06-30 08:00"), "channel_code": "sms", "outcome_code": "sent"})
    verdicts = worlds.judge(past=past, rules=found)
    assert bool(verdicts["is_allowed"]["ana", "call"]) != is_strict
    decided = [{"customer_id": "ana", "action": "call"}]
    broken = broken_by(decided, past, found, readings)
    assert ("EC-BASE/one_a_day" in broken) == is_strict and "EC-BASE/one_a_day_per_channel" not in broken


def broken_by(decided, past, found, readings) -> set[str]:
    rows = pd.DataFrame(decided).assign(
        loan_id=None, window_start=worlds.at("2026-06-30 09:00"), window_end=worlds.at("2026-06-30 18:00")
    )
    people = worlds.customers()
    return {
        one.rule_id
        for one in violations(
            rows,
            features=people.assign(past_due_days=30, loan_id="l"),
            customers=people,
            contact_points=worlds.every_point(),
            interactions=past,
            promises=worlds.promises(),
            payments=worlds.payments(),
            policy_files=found.files,
            holidays=worlds.calendar(),
            country="EC",
            currency="USD",
            timezone=worlds.QUITO,
            reading="strict_default",
            readings=readings,
            as_of=worlds.TUESDAY,
        )
    }


@pytest.mark.parametrize("key", ["EC/one_a_day", "EC-BASE/hours", "EC-BASE/one_a_day_per_channel"])
def test_a_reading_of_what_has_none_is_refused_with_what_has(key: str):
    with pytest.raises(RuleError, match=rf"decision\.readings: {key} is no policy .* EC-BASE/one_a_day, MX-REDECO"):
        load(None, "EC", readings={key: "alternative_reading"})
    with pytest.raises(RuleError, match="'loose' is none of strict_default, alternative_reading"):
        load(None, "EC", readings={"EC-BASE": "loose"})


def test_every_shipped_question_with_a_strict_answer_has_it_in_each_reading():
    """A rule that holds in one reading alone names the question of its counterpart, so that none switches alone."""
    for country in ("EC", "MX", "CL", "PE"):
        strict, other = load(None, country), load(None, country, reading="alternative_reading")
        asked = [
            {entry.rule.asks for entry in found.rules if len(entry.rule.readings) == 1} for found in (strict, other)
        ]
        assert asked[0] == asked[1], country
