"""The nine things that a rule engine must get right, each under its name."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from pipelines.steps.contact_facts import read_statuses, read_templates, unconfirmed, without_wrong_numbers
from puntual.decision.capacity import Capacity, Cell
from puntual.decision.checker import Violation, violations
from puntual.decision.facts import ContactFacts
from puntual.decision.holiday_calendar import HolidayCalendar
from puntual.decision.policies import PolicySet, load_policies
from puntual.decision.rule_kinds import CHANNELS
from puntual.decision.rules import evaluate
from puntual.decision.sending import shared_limits
from puntual.errors import RuleError
from tests.property import rule_cases
from tests.unit.decision import worlds
from tests.unit.decision.test_policies import load, own
from tests.unit.decision.worlds import POLICIES, TUESDAY, at, customers, events, every_point, judge, policies, promises


def judged(facts: ContactFacts | None = None, **given: Any) -> pd.DataFrame:
    """As ``judge``, with facts."""
    as_of = given.get("as_of", TUESDAY)
    rules = given.get("rules") or policies(as_of=as_of)
    found = evaluate(
        given.get("who", customers()),
        given.get("through", every_point()),
        given.get("past", events()),
        given.get("promised", promises()),
        given.get("paid", worlds.payments()),
        policies=rules,
        holidays=given.get("holidays") or worlds.calendar(rules.country),
        as_of=as_of,
        timezone=given.get("timezone", worlds.QUITO),
        channels=list(CHANNELS),
        facts=facts,
    )
    return found.set_index(["customer_id", "channel_code"])


def by(verdicts: pd.DataFrame, channel: str) -> list[str]:
    return json.loads(verdicts.at[("ana", channel), "blocked_by"])


@pytest.mark.parametrize(
    ("country", "zone", "night", "before", "after"),
    [
        # Chile, Sunday 2026-04-05 00:00 becomes Saturday 23:00: that hour happens twice, and both are Saturday's
        ("CL", "America/Santiago", date(2026, 4, 4), "2026-04-05 02:59", "2026-04-05 04:00"),
        # the border keeps the clock of the United States: Sunday 2026-03-08 02:00 becomes 03:00, UTC-8 then UTC-7
        ("MX", "America/Tijuana", date(2026, 3, 8), "2026-03-09 06:59", "2026-03-09 07:00"),
        ("US", "America/New_York", date(2026, 11, 1), "2026-11-02 04:59", "2026-11-02 05:00"),
    ],
)
def test_1_midnight_and_clock_changes(country: str, zone: str, night: date, before: str, after: str, tmp_path: Path):
    """One second of UTC decides on which of the person's days an attempt was."""
    once = {"id": "OWN/x", "kind": "max_count", "channels": "all", "window": "calendar_day", "n": 1}
    rules = load(own(tmp_path, once), country, night)
    for moment, counts in ((before, True), (after, False)):
        found = judged(
            who=customers({"timezone": zone}),
            past=events({"occurred_at": pd.Timestamp(moment)}),
            rules=rules,
            as_of=night,
        )
        assert ("OWN/x" in by(found, "sms")) == counts, moment


def test_1_the_zone_of_the_debtor_is_not_that_of_the_office():
    # 23:30 in Quito on the 29th is 22:30 in the Galapagos, and already the 30th in Madrid
    past = events({"occurred_at": at("2026-06-29 23:30")})
    assert by(judged(who=customers({"timezone": "Pacific/Galapagos"}), past=past), "sms") == []
    assert by(judged(who=customers({"timezone": "Europe/Madrid"}), past=past), "sms") == ["EC-BASE/one_a_day"]


def test_2_iso_week_53():
    # the week of Monday 2026-12-28 is the 53rd of 2026 and goes on into 2027
    rules = policies("CL", date(2027, 1, 2))
    past = events({"occurred_at": at("2026-12-28 10:00", "America/Santiago")})
    held = judged(past=past, rules=rules, as_of=date(2027, 1, 2), timezone="America/Santiago")
    assert by(held, "call") == ["CL-21320/voice_and_visits"]
    free = judged(
        past=past, rules=policies("CL", date(2027, 1, 4)), as_of=date(2027, 1, 4), timezone="America/Santiago"
    )
    assert by(free, "call") == []


def test_3_a_holiday_added_later_leaves_what_was_decided_and_changes_what_comes():
    known_then = worlds.calendar()
    decided = judge(holidays=known_then)
    known_now = HolidayCalendar(known_then.dates | {TUESDAY, date(2026, 7, 1)}, known_then.years)
    # the decision of the 30th is replayed with the calendar it was made with
    assert judge(holidays=known_then).equals(decided)
    assert decided["is_allowed"].all()
    assert by(judged(holidays=known_now, as_of=date(2026, 7, 1)), "call") == ["EC-BASE/hours"]


def test_4_two_loans_and_a_guarantor_are_one_contact():
    """Attempts about a second loan, and about one that the person guarantees, count on the person."""
    for loan in ("second", "of somebody else"):
        past = events({"occurred_at": at("2026-06-30 08:00")}).assign(loan_id=loan)
        who = customers().assign(loan_id="first", party_code="guarantor")
        assert by(judged(who=who, past=past), "sms") == ["EC-BASE/one_a_day"]


def test_4_a_law_may_count_by_debt_instead():
    rules = policies("US")
    who = customers({"timezone": "America/New_York"}).assign(loan_id="first")
    week = [{"occurred_at": at(f"2026-06-{day} 10:00", "America/New_York")} for day in (24, 25, 26)]
    many = events(*(week * 3))[:7]
    about = {"first": True, None: True, "second": False}
    for loan, counts in about.items():
        found = judged(who=who, past=many.assign(loan_id=loan), rules=rules, timezone="America/New_York")
        assert ("US-REGF/seven_calls_in_seven_days" in by(found, "call")) == counts, loan


def test_5_what_was_planned_and_not_confirmed_counts_as_made():
    plan = pd.DataFrame({"customer_id": ["ana"] * 3, "channel_code": ["call", "sms", "email"]})
    # Monday of this week twice and the Sunday before it: two of three in the week, with one attempt made
    plan["planned_for"] = pd.to_datetime(["2026-06-29", "2026-06-29", "2026-06-28"])
    past = events({"occurred_at": at("2026-06-29 17:00"), "channel_code": "visit", "outcome_code": "not_home"})
    assert by(judged(past=past), "call") == []
    reserved = judged(ContactFacts(planned=plan), past=past)
    assert by(reserved, "call") == ["INST-DEFAULT/three_a_week"]
    # the call was logged in the meantime: it is one contact, not two
    logged = events(
        {"occurred_at": at("2026-06-29 17:00"), "channel_code": "visit", "outcome_code": "not_home"},
        {"occurred_at": at("2026-06-29 18:00"), "channel_code": "call"},
    )
    told = json.loads(judged(ContactFacts(planned=plan), past=logged).at[("ana", "call"), "numbers"])
    assert told == [
        {"rule": "INST-DEFAULT/three_a_week", "counted": 3, "of": 3, "since": "2026-06-29", "until": "2026-07-05"}
    ]


def test_5_a_day_is_settled_once_a_later_one_has_arrived():
    plans = pd.DataFrame(
        {"customer_id": ["a", "b", "c"], "loan_id": None, "channel_code": ["call", "call", "sms"]}
    ).assign(planned_for=pd.to_datetime(["2026-06-25", "2026-06-26", "2026-06-25"]))
    past = events({"occurred_at": "2026-06-26 15:00", "channel_code": "call"})
    assert unconfirmed(plans, past)["customer_id"].tolist() == ["b", "c"]
    # a young book: nothing planned yet, or nobody contacted yet
    assert unconfirmed(plans.iloc[:0], past).empty and unconfirmed(plans.iloc[:0], past.iloc[:0]).empty
    assert unconfirmed(plans, past.iloc[:0])["customer_id"].tolist() == ["a", "b", "c"]


def test_a_number_of_somebody_else_is_held_back_until_it_is_answered_or_delivered_anew():
    points = pd.DataFrame(
        [
            # member, kind, updated_at, whether it may be used
            ("stranger", "mobile", "2026-01-01", False),
            ("stranger", "landline", None, False),  # the outcome names no number
            ("stranger", "email", None, True),
            ("stranger", "address", None, True),
            ("answered_since", "mobile", None, True),
            ("answered_before", "mobile", None, False),
            ("delivered_since", "mobile", "2026-05-02", True),
            ("never_wrong", "mobile", None, True),
        ],
        columns=["customer_id", "kind_code", "updated_at", "may"],
    ).assign(is_valid=True)
    answers = pd.DataFrame(
        [
            ("answered_before", "2026-05-01", "2026-04-01"),
            ("answered_since", "2026-05-01", "2026-06-01"),
            ("delivered_since", "2026-05-01", None),
            ("stranger", "2026-05-01", None),
        ],
        columns=["customer_id", "wrong_at", "right_at"],
    )
    assert without_wrong_numbers(points, answers)["is_valid"].tolist() == points["may"].tolist()
    not_valid = points.assign(is_valid=False)
    assert not without_wrong_numbers(not_valid, answers)["is_valid"].any()
    nobody = answers.iloc[:0]
    assert without_wrong_numbers(points, nobody)["is_valid"].all()
    assert without_wrong_numbers(points.iloc[:0], nobody).empty


@pytest.mark.parametrize("country", list(rule_cases.ZONES))
def test_6_the_strict_reading_allows_a_subset(country: str):
    office, zones = rule_cases.ZONES[country]
    for number, as_of in enumerate(rule_cases.DAYS[:4]):
        frames, facts = rule_cases.random_world(np.random.default_rng([6, number]), as_of, zones, 150)
        strict, other = (
            evaluate(
                *frames.values(),
                policies=policies(country, as_of, reading=reading),
                holidays=worlds.calendar(country),
                as_of=as_of,
                timezone=office,
                channels=list(CHANNELS),
                facts=facts,
            )["is_allowed"]
            for reading in rule_cases.READINGS
        )
        assert (other | ~strict).all()


def test_8_every_block_returns_a_moment_or_never():
    office, zones = rule_cases.ZONES["EC"]
    frames, facts = rule_cases.random_world(np.random.default_rng(8), TUESDAY, zones, 400)
    found = evaluate(
        *frames.values(),
        policies=policies(),
        holidays=worlds.calendar(),
        as_of=TUESDAY,
        timezone=office,
        channels=list(CHANNELS),
        facts=facts,
    )
    blocked = found[~found["is_allowed"]]
    assert len(blocked) > 1000
    assert (blocked["earliest_permitted_at"].notna() != blocked["is_never"]).all()
    assert (blocked["earliest_permitted_at"].dropna() >= at("2026-06-30 00:00")).all()
    counted = blocked["blocked_by"].str.contains("one_a_day|three_a_week|recent_")
    assert blocked.loc[counted, "numbers"].str.contains('"since"').all()


def test_a_reminder_may_go_out_on_the_eve_of_a_promise_and_on_no_other_day():
    # due Thursday July 2: the eve is Wednesday; grace ends Saturday, and Monday is the next working day
    def says(day: date, channel: str) -> tuple[list[str], str]:
        found = judged(promised=promises({"due_date": "2026-07-02"}), as_of=day)
        return by(found, channel), str(found.at[("ana", channel), "earliest_permitted_at"] - pd.Timedelta(hours=5))[:16]

    assert says(TUESDAY, "sms") == (["INST-DEFAULT/open_promise_reminder"], "2026-07-01 07:00")
    assert says(date(2026, 7, 1), "sms") == ([], "2026-07-01 07:00")
    assert says(date(2026, 7, 2), "sms") == (["INST-DEFAULT/open_promise_reminder"], "2026-07-06 07:00")
    assert says(date(2026, 7, 1), "call") == (["INST-DEFAULT/open_promise"], "2026-07-06 07:00")


def test_two_promises_are_reminded_of_only_where_neither_rests():
    both = promises({"due_date": "2026-07-02"}, {"due_date": "2026-07-03"})
    assert by(judged(promised=both, as_of=date(2026, 7, 1)), "sms") == ["INST-DEFAULT/open_promise_reminder"]
    assert by(judged(promised=both, as_of=date(2026, 7, 2)), "sms") == ["INST-DEFAULT/open_promise_reminder"]


def test_a_rule_of_contact_points_holds_in_its_provinces_alone(tmp_path: Path):
    """Calls in Loja through landlines only, elsewhere through any phone as shipped."""
    rule = {"id": "OWN/landlines", "kind": "require", "what": "contact_point", "channels": ["call"]}
    rules = load(own(tmp_path, rule | {"point_kinds": {"call": ["landline"]}, "where": {"province": ["Loja"]}}))
    for place, closed_by in (("Loja", {"CONTACT-POINTS/available", "OWN/landlines"}), ("Azuay", set())):
        found = judged(who=customers({"province": place}), rules=rules)
        assert set(by(found, "call")) == closed_by, place
        assert found.at[("ana", "call"), "is_allowed"] == (not closed_by)
        assert found.at[("ana", "visit"), "is_allowed"]


def test_a_disaster_closes_its_provinces_until_its_last_day(tmp_path: Path):
    rule = {"id": "OWN/flood", "kind": "forbid", "channels": "all", "where": {"province": ["Manabí"]}}
    dates = {"effective_from": date(2026, 6, 29), "effective_to": date(2026, 7, 2)}
    rules = load(own(tmp_path, rule | dates))
    assert by(judged(rules=rules), "call") == []
    for place in ("MANABI", None):  # who lives nobody knows where may live there
        found = judged(rules=rules, who=customers({"province": place}))
        assert by(found, "call") == ["OWN/flood"]
        assert str(found.at[("ana", "call"), "earliest_permitted_at"])[:10] == "2026-07-03"
    later = load(tmp_path, as_of=date(2026, 7, 3))
    assert "OWN/flood" not in {entry.rule.id for entry in later.rules}


def test_states_have_limits_of_their_own():
    rules = policies("US")
    past = events(
        *({"occurred_at": at(f"2026-06-2{day} 10:00", "America/New_York"), "channel_code": "sms"} for day in (5, 6))
    )
    for state, expected in {"DC": ["US-STATES-EXAMPLE/dc_each"], "SC": []}.items():
        who = customers({"timezone": "America/New_York", "province": state})
        assert by(judged(who=who, past=past, rules=rules, timezone="America/New_York"), "sms") == expected


@pytest.mark.parametrize(
    ("text", "later_consent", "expected"),
    [
        ("Baja.", pd.NaT, ["CH-SMS/stop_words"]),
        ("no", pd.NaT, ["CH-SMS/stop_words"]),
        ("no puedo hoy", pd.NaT, []),
        ("BAJA", at("2026-06-29 12:00"), []),
    ],
)
def test_a_stop_word_ends_text_messages_until_consent_is_given_again(
    text: str, later_consent: Any, expected: list[str]
):
    said = pd.DataFrame({"customer_id": ["ana"], "channel_code": ["sms"], "occurred_at": [at("2026-06-28 12:00")]})
    found = judged(ContactFacts(texts=said.assign(text=text)), through=every_point().assign(consent_at=later_consent))
    assert by(found, "sms") == expected
    assert by(found, "whatsapp") == []


def test_without_an_approved_template_only_an_answer_within_a_day_is_sent():
    paused = pd.DataFrame(
        {"channel_code": ["whatsapp"], "template_id": ["t"], "status_code": ["paused"], "quality_code": [None]}
    )
    facts = ContactFacts(templates=paused)
    assert by(judged(facts), "whatsapp") == ["CH-WHATSAPP/service_window"]
    wrote = {"channel_code": "whatsapp", "direction_code": "inbound", "outcome_code": "sent"}
    found = judged(facts, past=events(wrote | {"occurred_at": at("2026-06-29 09:30")}))
    # the hours of the law begin at 07:00; the platform's day ends at 09:30
    assert str(found.at[("ana", "whatsapp"), "window_start"]) == "2026-06-30 12:00:00"
    assert str(found.at[("ana", "whatsapp"), "window_end"]) == "2026-06-30 14:30:00"
    assert by(judged(ContactFacts(templates=paused.assign(status_code="approved"))), "whatsapp") == []
    red = paused.assign(status_code="approved", quality_code="red")
    assert by(judged(ContactFacts(templates=red)), "whatsapp") == ["CH-WHATSAPP/service_window"]


def test_the_tier_of_an_account_is_a_limit_of_the_list(tmp_path: Path):
    rule = {"id": "OWN/tier", "kind": "max_users", "channels": ["whatsapp"], "window": "rolling_hours:24", "n": 3}
    rules = load(own(tmp_path, rule))
    sent = {"channel_code": "whatsapp", "outcome_code": "sent", "occurred_at": at("2026-06-29 15:00")}
    past = events(sent | {"customer_id": "x"}, sent | {"customer_id": "y"}, sent | {"customer_id": "x"})
    asked = {"policies": rules, "channels": ["whatsapp", "sms"], "as_of": TUESDAY, "timezone": worlds.QUITO}
    assert shared_limits(past, **asked) == [Capacity("rule:OWN/tier", (Cell("whatsapp"),), 1)]
    # where the channel's own limit is as tight the rule adds nothing
    assert [len(shared_limits(past, **asked, daily={"whatsapp": own, "sms": 0})) for own in (None, 2, 1, 0)] == [
        1,
        1,
        0,
        0,
    ]
    two = pd.DataFrame({"customer_id": ["ana", "bea"], "action": "whatsapp"})
    two = two.assign(window_start=at("2026-06-30 07:00"), window_end=at("2026-06-30 20:00"))
    who = customers({}, {"customer_id": "bea"})
    through = pd.concat([every_point(), every_point("bea")], ignore_index=True)
    for listed, expected in ((two, {"OWN/tier"}), (two[:1], set())):
        found = checked(listed, who, through, past, rules, TUESDAY)
        assert {violation.rule_id for violation in found} == expected
    # yesterday's list, of which nothing has come in yet: somebody else was to be written to, "x" was reached anyway
    of_lists = pd.DataFrame({"customer_id": ["z", "x", "old", "called"], "loan_id": None}).assign(
        channel_code=["whatsapp", "whatsapp", "whatsapp", "call"],
        planned_for=pd.to_datetime(["2026-06-29", "2026-06-29", "2026-06-28", "2026-06-29"]),
    )
    assert [limit.count for limit in shared_limits(past, planned=of_lists, **asked)] == [0]
    wide = rule | {"id": "OWN/wide", "channels": ["whatsapp", "sms"]}
    (tmp_path / "wide").mkdir()
    shared = load(own(tmp_path / "wide", wide))
    given = {"policies": shared, "channels": ["whatsapp", "sms"], "as_of": TUESDAY, "timezone": worlds.QUITO}
    assert [limit.count for limit in shared_limits(past, **given)] == [1]
    assert [limit.count for limit in shared_limits(past, planned=of_lists, **given)] == [0]
    found = checked(two[:1], who, through, past, rules, TUESDAY, facts=ContactFacts(planned=of_lists))
    assert "OWN/tier" in {violation.rule_id for violation in found}
    not_yesterday = ContactFacts(planned=of_lists[of_lists["customer_id"] != "z"])
    found = checked(two[:1], who, through, past, rules, TUESDAY, facts=not_yesterday)
    assert "OWN/tier" not in {violation.rule_id for violation in found}


def test_a_dated_status_ends_on_its_last_day(tmp_path: Path):
    file = tmp_path / "member_statuses.csv"
    file.write_text(
        "customer_id,status_code,from_date,to_date\nana,forbearance,2026-06-01,2026-07-01\n", encoding="utf-8"
    )
    found = judged(ContactFacts(statuses=read_statuses(file)))
    assert by(found, "call") == ["PERSON-STATUS/forbearance"]
    assert str(found.at[("ana", "call"), "earliest_permitted_at"])[:10] == "2026-07-02"
    unknown = read_statuses(file)
    assert unknown is not None
    assert by(judged(ContactFacts(statuses=unknown.assign(status_code="novel"))), "call") == ["PERSON-STATUS/known"]
    file.write_text("customer_id,status_code,from_date,to_date\nana,fraud,06/01/2026,\n", encoding="utf-8")
    with pytest.raises(RuleError, match="line 2: from_date"):
        read_statuses(file)
    assert read_templates(tmp_path / "none.csv") is None


KINDS: dict[str, dict[str, Any]] = {
    "window": {
        "weekdays": {day: ["09:00-10:00"] for day in ("mon", "tue", "wed", "thu", "fri")} | {"sat": [], "sun": []},
        "holidays": "blocked",
    },
    "max_count": {"window": "calendar_day", "n": 1},
    "min_spacing": {"days": 1},
    "single_channel": {"window": "iso_week", "event": "right_party_contact"},
    "cooloff": {"event": "status", "status": "payment_pending", "days": 3},
    "require": {"what": "not_workplace"},
    "stop_words": {"words": ["ALTO"]},
    "service_window": {"hours": 12},
    "forbid": {"status": "fraud"},
    "known_status": {"statuses": ["active"]},
    "party": {"allowed": ["debtor"]},
    "min_age": {"years": 18},
    "past_due_days": {"min_days": 6, "max_days": 120},
    "min_amount": {"basis": "collectable_amount", "amount": 20, "currency": "USD"},
    "min_count_by": {"event": "missed_due_date", "days": 9, "n": 1},
    "max_users": {"window": "rolling_hours:24", "n": 250},
    "fee": {
        "scope": "loan",
        "window": "calendar_month",
        "n": 1,
        "charge_requires": "effective",
        "not_before_past_due_days": 1,
        "basis": "installment_with_most_days_past_due",
        "vat_added": True,
    },
}


def test_a_rule_of_every_kind_is_a_file_and_no_code(tmp_path: Path):
    rules = [
        {"id": f"OWN/{kind}", "kind": kind, "channels": ["sms"], "confidence": "memory", "sources": ["own counsel"]}
        | keys
        for kind, keys in KINDS.items()
    ]
    loaded = load(own(tmp_path, *rules))
    mine = {entry.rule.kind: entry for entry in loaded.rules if entry.policy_id == "OWN"}
    assert set(mine) == set(KINDS)
    assert {entry.confidence for entry in mine.values()} == {"memory"}
    assert {entry.sources for entry in mine.values()} == {("own counsel",)}
    known = {entry.rule.kind for entry in load_policies(worlds.POLICIES, None, "EC", TUESDAY).rules}
    assert known <= set(KINDS)
    plan = ContactFacts(templates=pd.DataFrame(columns=["channel_code", "template_id", "status_code", "quality_code"]))
    who = customers({"customer_status_code": "hardship", "collectable_amount": 10}).assign(past_due_days=3)
    found = judged(replace(plan, texts=None), rules=loaded, who=who)
    assert {"OWN/known_status", "OWN/past_due_days", "OWN/min_amount", "OWN/service_window"} <= set(
        by(found, "sms")
    ) | {"OWN/service_window"}


def test_a_country_of_which_only_the_fees_are_in_force_contacts_nobody(tmp_path: Path):
    shipped = tmp_path / "shipped"
    shutil.copytree(POLICIES, shipped)
    base = shipped / "EC-BASE.yaml"
    base.write_text(base.read_text().replace("effective_from: null", "effective_from: 2027-01-01"))
    sunday = date(2026, 6, 28)
    rules = load_policies(shipped, None, "EC", sunday)
    assert rules.has_jurisdiction and set(rules.without_hours) == set(CHANNELS)
    found = judge(rules=rules, as_of=sunday)
    assert not found["is_allowed"].any() and found["window_start"].isna().all() and found["is_never"].all()
    assert all("NO-HOURS-EC" in one for one in found["blocked_by"])
    assert {violation.rule_id for violation in whole_night(rules, sunday)} >= {"NO-HOURS-EC"}
    # from its own day on the law counts again, and the checker wants its hours
    later = date(2027, 6, 29)
    rules = load_policies(shipped, None, "EC", later)
    assert rules.without_hours == ()
    assert {violation.rule_id for violation in whole_night(rules, later)} >= {"EC-BASE/hours"}


def test_hours_of_some_channels_leave_the_others_blocked(tmp_path: Path):
    shipped = tmp_path / "shipped"
    shutil.copytree(POLICIES, shipped)
    law = shipped / "PE-29571.yaml"
    kept = law.read_text().replace("readings: [strict_default]", "readings: [alternative_reading]")
    law.write_text(kept)
    rules = load_policies(shipped, None, "PE", TUESDAY)
    assert set(rules.without_hours) & set(worlds.CHANNELS) == {"whatsapp", "sms", "email"}
    found = judge(rules=rules, holidays=worlds.calendar("PE"), timezone="America/Lima")
    assert [name for _, name in found.index[found["is_allowed"]]] == ["call", "ivr", "visit"]
    assert found.loc[("ana", "sms"), "blocked_by"] == '["NO-HOURS-PE"]'


def whole_night(rules: PolicySet, day: date) -> list[Violation]:
    """What the checker says of one call at any hour of ``day``."""
    night = pd.DataFrame({"customer_id": ["ana"], "action": "call"})
    start = at(f"{day} 00:00")
    night = night.assign(window_start=start, window_end=start + pd.Timedelta(hours=24))
    return checked(night, customers({}), every_point(), events(), rules, day)


def checked(
    listed: pd.DataFrame,
    who: pd.DataFrame,
    through: pd.DataFrame,
    past: pd.DataFrame,
    rules: PolicySet,
    day: date,
    facts: ContactFacts | None = None,
) -> list[Violation]:
    """What the checker says of a list in Ecuador, in the strict reading."""
    return violations(
        listed,
        features=who,
        customers=who,
        contact_points=through,
        interactions=past,
        promises=promises(),
        payments=worlds.payments(),
        policy_files=rules.files,
        holidays=worlds.calendar(),
        country="EC",
        currency="USD",
        timezone=worlds.QUITO,
        reading="strict_default",
        as_of=day,
        facts=facts,
    )


def of_party(**parties: str | None) -> pd.DataFrame:
    """Ana's mobile numbers, one for each name, newest first, with the party whom each reaches."""
    newest = pd.Timestamp("2026-06-01")
    through = worlds.points(
        *(
            {
                "contact_point_id": name,
                "kind_code": "mobile",
                "has_whatsapp": True,
                "updated_at": newest - pd.Timedelta(days=at),
            }
            for at, name in enumerate(parties)
        )
    )
    return through.assign(party_code=pd.Series(list(parties.values()), dtype=object))


@pytest.mark.parametrize("country", ["EC", "MX", "CO", "CL", "PE", "US"])
@pytest.mark.parametrize("party", ["reference", "relative", "beneficiary", "heir", "other"])
def test_the_number_of_somebody_who_owes_nothing_is_used_in_no_country(country: str, party: str):
    rules = policies(country)
    zone = rule_cases.ZONES[country][0]
    who = customers({"timezone": zone})
    given = {"who": who, "rules": rules, "timezone": zone}
    alone = judged(through=of_party(theirs=party), **given)
    assert "CONTACT-POINTS/parties" in by(alone, "call") and alone.at[("ana", "call"), "is_never"]
    both = judged(through=of_party(theirs=party, own=None), **given)
    assert both.at[("ana", "call"), "contact_point_id"] == "own"
    assert by(both, "call") == []
    listed = contact("call", zone)
    for used, breaks in ({"ana": "theirs"}, True), ({"ana": "own"}, False):
        found = check_of(listed, who, of_party(theirs=party, own=None), rules, zone, contact_point_ids=used)
        assert ("CONTACT-POINTS/parties" in {one.rule_id for one in found}) == breaks


def test_4_a_guarantor_is_reached_after_the_member_by_a_person_and_counts_as_the_member(tmp_path: Path):
    newer = of_party(guarantor="guarantor", own="debtor")
    assert judged(through=newer).at[("ana", "call"), "contact_point_id"] == "own"
    # the landline of the member comes before the mobile of the guarantor
    landline = newer.assign(kind_code=["mobile", "landline"])
    assert judged(through=landline).at[("ana", "call"), "contact_point_id"] == "own"
    only = of_party(guarantor="guarantor")
    found = judged(through=only)
    assert found.at[("ana", "call"), "contact_point_id"] == "guarantor" and by(found, "call") == []
    assert by(found, "sms") == by(found, "whatsapp") == ["CONTACT-POINTS/own_of_messages"]
    spoken = events({"occurred_at": at("2026-06-30 08:00")}).assign(loan_id="of somebody else")
    assert by(judged(through=only, past=spoken), "call") == ["EC-BASE/one_a_day"]
    broken = check_of(contact("sms"), customers(), only, policies())
    assert "CONTACT-POINTS/own_of_messages" in {one.rule_id for one in broken}
    assert check_of(contact("call"), customers(), only, policies()) == []


def contact(channel: str, zone: str = worlds.QUITO) -> pd.DataFrame:
    """Ana on a list at eleven in the morning of Tuesday."""
    start = at("2026-06-30 11:00", zone)
    end = start + pd.Timedelta(minutes=30)
    return pd.DataFrame({"customer_id": ["ana"], "action": [channel], "window_start": [start], "window_end": [end]})


def check_of(
    listed: pd.DataFrame,
    who: pd.DataFrame,
    through: pd.DataFrame,
    rules: PolicySet,
    zone: str = worlds.QUITO,
    **options: Any,
) -> list[Violation]:
    """What the checker says of the contact."""
    return violations(
        listed,
        features=who,
        customers=who,
        contact_points=through,
        interactions=options.pop("past", events()),
        promises=promises(),
        payments=worlds.payments(),
        policy_files=rules.files,
        holidays=worlds.calendar(rules.country),
        country=rules.country,
        currency="USD",
        timezone=zone,
        reading=rules.reading,
        as_of=TUESDAY,
        **options,
    )


@pytest.mark.parametrize(("place", "is_allowed"), [("home", True), ("other", True), (None, True), ("work", False)])
def test_a_workplace_is_not_visited_and_an_unknown_place_is_where_the_law_does_not_close_it(
    place: str | None, is_allowed: bool, tmp_path: Path
):
    through = every_point().assign(place_code=pd.Series([None, None, place], dtype=object))
    found = judged(through=through)
    assert by(found, "visit") == ([] if is_allowed else ["EC-BASE/no_workplace"])
    assert by(found, "letter") == by(found, "call") == []
    assert (check_of(contact("visit"), customers(), through, policies()) == []) == is_allowed
    # a column that no source delivers is the same as one of which nothing is told
    assert by(judged(through=every_point()), "visit") == []
    strict = load(own(tmp_path, {"id": "OWN/told", "kind": "require", "what": "place_told", "channels": ["visit"]}))
    assert ("OWN/told" in by(judged(through=through, rules=strict), "visit")) == (place is None)
    broken = check_of(contact("visit"), customers(), through, strict)
    assert ("OWN/told" in {one.rule_id for one in broken}) == (place is None)
    assert by(judged(through=every_point(), rules=strict), "visit") == ["OWN/told"]


@pytest.mark.parametrize(
    ("has_consent", "consent_at", "opted_out_at", "expected"),
    [
        pytest.param(True, "2026-06-30 23:59:59.999999", None, [], id="given in the last moment of the day"),
        pytest.param(True, "2026-07-01 00:00", None, ["CONTACT-POINTS/consent"], id="given when the day is over"),
        pytest.param(True, None, None, [], id="given, nobody wrote down when"),
        pytest.param(True, "2026-06-10", "2026-06-20", ["CONTACT-POINTS/not_opted_out"], id="opted out after it"),
        pytest.param(True, "2026-06-20", "2026-06-20", ["CONTACT-POINTS/not_opted_out"], id="at the same moment"),
        pytest.param(True, "2026-06-30 12:00", "2026-06-20", [], id="given anew on the day"),
        pytest.param(
            True,
            "2026-07-01 00:00",
            "2026-06-20",
            ["CONTACT-POINTS/consent", "CONTACT-POINTS/not_opted_out"],
            id="given anew too late",
        ),
        pytest.param(True, None, "2026-06-20", ["CONTACT-POINTS/not_opted_out"], id="opted out, consent has no day"),
        pytest.param(True, "2026-06-10", "2026-07-01 00:00", [], id="opts out when the day is over"),
        pytest.param(
            False,
            "2026-06-25",
            "2026-06-20",
            ["CONTACT-POINTS/consent", "CONTACT-POINTS/not_opted_out"],
            id="a refusal with a day lifts nothing",
        ),
        pytest.param(
            None,
            "2026-06-25",
            "2026-06-20",
            ["CONTACT-POINTS/consent", "CONTACT-POINTS/not_opted_out"],
            id="a day without the consent lifts nothing",
        ),
    ],
)
def test_a_consent_counts_from_its_moment_and_against_the_opt_outs_before_it(
    has_consent: bool | None, consent_at: str | None, opted_out_at: str | None, expected: list[str]
):
    moments = [None if text is None else at(text) for text in (consent_at, opted_out_at)]
    through = worlds.points(
        {"kind_code": "mobile", "has_consent": has_consent, "consent_at": moments[0], "opted_out_at": moments[1]}
    )
    assert by(judged(through=through), "call") == expected
    named = {one.rule_id for one in check_of(contact("call"), customers(), through, policies())}
    assert {name for name in named if " with " not in name} == set(expected)


@pytest.mark.parametrize(
    ("status", "closed"),
    [
        ("wrong_number", {"call", "ivr", "whatsapp", "sms"}),
        ("number_not_mobile", {"whatsapp", "sms"}),
        ("invalid_email", {"email", "web_chat"}),
    ],
)
@pytest.mark.parametrize(("until", "holds"), [(None, True), ("2026-06-30", True), ("2026-06-29", False)])
def test_what_a_dated_status_says_of_a_number_or_mailbox_closes_its_channels(
    status: str, closed: set[str], until: str | None, holds: bool, tmp_path: Path
):
    file = tmp_path / "member_statuses.csv"
    file.write_text(
        f"customer_id,status_code,from_date,to_date\nana,{status},2026-06-28,{until or ''}\n", encoding="utf-8"
    )
    facts = ContactFacts(statuses=read_statuses(file))
    found = judged(facts)
    shut = {channel for channel in CHANNELS if by(found, channel)}
    assert shut == (closed if holds else set())
    for channel in shut:
        assert by(found, channel) == [f"PERSON-STATUS/{status}"]
        assert found.at[("ana", channel), "is_never"] == (until is None)
    for channel in CHANNELS:
        named = {one.rule_id for one in check_of(contact(channel), customers(), every_point(), policies(), facts=facts)}
        assert named == ({f"PERSON-STATUS/{status}"} if channel in shut else set())
