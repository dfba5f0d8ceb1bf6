"""Golden cases of every contact rule, with the dates and the counting beside them."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import pandas as pd
import pytest
import yaml

from puntual.decision.holiday_calendar import LEAST_OF_A_YEAR, HolidayCalendar
from puntual.decision.policies import load_policies
from puntual.errors import RuleError
from tests.unit.decision import worlds
from tests.unit.decision.worlds import (
    TUESDAY,
    at,
    customers,
    events,
    every_point,
    judge,
    payments,
    points,
    policies,
    promises,
)


def blocked(verdicts: pd.DataFrame, channel: str, who: str = "ana") -> list[str]:
    return json.loads(verdicts.at[(who, channel), "blocked_by"])


def permitted_from(verdicts: pd.DataFrame, channel: str, who: str = "ana") -> str:
    """Local day and time in Ecuador (UTC - 5)."""
    return str(verdicts.at[(who, channel), "earliest_permitted_at"] - pd.Timedelta(hours=5))[:16]


def own_policies(folder: Path, rules: list[dict], as_of: date = TUESDAY, **top: object) -> worlds.PolicySet:
    """The shipped policies of Ecuador and one of the institution with these rules."""
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
        "rules": rules,
    } | top
    folder.mkdir(exist_ok=True)
    (folder / "OWN.yaml").write_text(yaml.safe_dump(policy), encoding="utf-8")
    return load_policies(worlds.POLICIES, folder, "EC", as_of)


def test_a_member_with_nothing_against_is_allowed_everywhere_in_the_hours_of_the_law():
    found = judge()
    assert found["is_allowed"].all()
    # 07:00 to 20:00 in Ecuador, UTC - 5
    assert set(found["window_start"]) == {pd.Timestamp("2026-06-30 12:00")}
    assert set(found["window_end"]) == {pd.Timestamp("2026-07-01 01:00")}
    assert (found["earliest_permitted_at"] == found["window_start"]).all()
    assert found.at[("ana", "email"), "contact_point_id"] == "ana-e"


@pytest.mark.parametrize(
    ("day", "opens"),
    [
        pytest.param(date(2026, 6, 27), "2026-06-29 07:00", id="saturday waits for monday"),
        pytest.param(date(2026, 6, 28), "2026-06-29 07:00", id="sunday waits for monday"),
        pytest.param(date(2026, 8, 10), "2026-08-11 07:00", id="a holiday on a monday waits for tuesday"),
        pytest.param(date(2026, 12, 25), "2026-12-28 07:00", id="christmas on a friday waits for monday"),
    ],
)
def test_closed_days_say_when_they_open(day: date, opens: str):
    found = judge(as_of=day)
    assert blocked(found, "call") == ["EC-BASE/hours"]
    assert permitted_from(found, "call") == opens
    assert found["window_start"].isna().all()


def test_a_year_without_known_holidays_is_blocked_and_never_promised():
    found = judge(holidays=HolidayCalendar(frozenset(), frozenset({2025})))
    assert blocked(found, "sms") == ["EC-BASE/hours"]
    assert found["is_never"].all()


def test_an_institution_adds_local_holidays():
    local = pd.DataFrame({"country": ["EC"], "date": [pd.Timestamp(TUESDAY)]})
    found = judge(holidays=worlds.calendar().with_frame(local, "EC"))
    assert blocked(found, "call") == ["EC-BASE/hours"]
    # what was decided before the holiday was announced stays as it was: the calendar is an input
    assert judge()["is_allowed"].all()


def local_days(country: str, year: int, count: int) -> pd.DataFrame:
    days = [pd.Timestamp(year, 1 + number, 3) for number in range(count)]
    return pd.DataFrame({"country": country, "date": days})


@pytest.mark.parametrize("count", [1, LEAST_OF_A_YEAR - 1])
def test_a_few_local_holidays_do_not_make_a_whole_year_known(count):
    for country, year in (("PE", 2037), ("BO", 2026)):  # Bolivia has no shipped calendar
        calendar = worlds.calendar(country).with_frame(local_days(country, year, count), country)
        assert calendar.is_blocked(date(year, 12, 25)) and calendar.is_blocked(date(year, 1, 3))
        # twice the same days are no more of them
        again = calendar.with_frame(local_days(country, year, count), country)
        assert again.is_blocked(date(year, 12, 25))


def test_a_year_is_known_with_as_many_holidays_as_the_least_of_any_country():
    calendar = worlds.calendar("BO").with_frame(local_days("BO", 2037, LEAST_OF_A_YEAR), "BO")
    assert calendar.years == {2037}
    assert calendar.is_blocked(date(2037, 1, 3)) and not calendar.is_blocked(date(2037, 1, 4))
    for country in ("EC", "MX", "CO", "PE", "CL", "US"):
        shipped = worlds.calendar(country)
        least = min(sum(day.year == year for day in shipped.dates) for year in shipped.years)
        assert least >= LEAST_OF_A_YEAR


def test_the_hours_are_those_of_the_person_not_of_the_office():
    found = judge(who=customers({"timezone": "Pacific/Galapagos"}))
    # 07:00 on the islands, UTC - 6
    assert found.at[("ana", "call"), "window_start"] == pd.Timestamp("2026-06-30 13:00")


@pytest.mark.parametrize(
    ("country", "zone", "expected"),
    [
        pytest.param(
            "MX", None, ["MX-REDECO/weekdays"], id="the law follows the person and nobody knows where they are"
        ),
        pytest.param("MX", "America/Tijuana", [], id="known zone"),
        pytest.param("EC", "America/Nowhere", ["EC-BASE/hours"], id="a zone that does not exist"),
        pytest.param("EC", None, [], id="the country has one zone by law"),
    ],
)
def test_an_unknown_time_zone_blocks(country: str, zone: str | None, expected: list[str]):
    found = judge(
        who=customers({"timezone": zone}),
        rules=policies(country),
        holidays=worlds.calendar(country),
        timezone=worlds.QUITO,
    )
    assert blocked(found, "call") == expected
    assert found.at[("ana", "call"), "is_never"] == bool(expected)


def test_the_window_follows_a_clock_change():
    # Chile moved to summer time on Sunday 2026-09-06 at 00:00 (UTC - 4 becomes UTC - 3)
    before = judge(
        rules=policies("CL"), holidays=worlds.calendar("CL"), as_of=date(2026, 9, 4), timezone="America/Santiago"
    )
    after = judge(
        rules=policies("CL"), holidays=worlds.calendar("CL"), as_of=date(2026, 9, 7), timezone="America/Santiago"
    )
    assert before.at[("ana", "sms"), "window_start"] == pd.Timestamp("2026-09-04 12:00")
    assert after.at[("ana", "sms"), "window_start"] == pd.Timestamp("2026-09-07 11:00")


def test_one_contact_a_day_counts_attempts_on_the_persons_calendar():
    late = at("2026-06-29 23:59:59")
    assert judge(past=events({"occurred_at": late}))["is_allowed"].all()
    found = judge(past=events({"occurred_at": at("2026-06-30 00:00:00")}))
    assert blocked(found, "email") == ["EC-BASE/one_a_day"]
    assert permitted_from(found, "email") == "2026-07-01 07:00"
    # one second before midnight in Quito is 22:59:59 in the Galapagos and still the 29th; an hour later it is not
    moved = judge(
        who=customers({"timezone": "Pacific/Galapagos"}), past=events({"occurred_at": at("2026-06-30 00:30")})
    )
    assert moved["is_allowed"].all()


def test_what_comes_in_does_not_count():
    found = judge(
        past=events({"occurred_at": at("2026-06-30 08:00"), "direction_code": "inbound", "outcome_code": "sent"})
    )
    assert found["is_allowed"].all()


def test_the_other_reading_counts_each_channel_alone_and_allows_more():
    past = events({"occurred_at": at("2026-06-30 08:00"), "channel_code": "sms", "outcome_code": "sent"})
    strict = judge(past=past)
    other = judge(past=past, rules=policies(reading="alternative_reading"))
    assert not strict["is_allowed"].any()
    assert blocked(other, "sms") == ["EC-BASE/one_a_day_per_channel"]
    assert other["is_allowed"].sum() == len(worlds.CHANNELS) - 1
    assert (other["is_allowed"] | ~strict["is_allowed"]).all(), "what is strictly allowed is allowed either way"


def test_three_attempts_in_an_iso_week_wait_for_monday():
    # week 53 of 2026 runs from Monday 2026-12-28 to Sunday 2027-01-03
    past = events(*({"occurred_at": at(f"2026-12-{day} 10:00")} for day in (28, 29, 30)))
    found = judge(past=past, as_of=date(2026, 12, 31))
    assert blocked(found, "call") == ["INST-DEFAULT/three_a_week"]
    assert permitted_from(found, "call") == "2027-01-04 07:00"
    # the same three in the week before count no more
    assert judge(past=past, as_of=date(2027, 1, 4))["is_allowed"].all()


def test_eight_attempts_in_thirty_days_wait_until_the_oldest_leaves():
    days = [
        "2026-06-01",
        "2026-06-02",
        "2026-06-08",
        "2026-06-09",
        "2026-06-15",
        "2026-06-16",
        "2026-06-22",
        "2026-06-23",
    ]
    past = events(*({"occurred_at": at(f"{day} 10:00")} for day in days))
    found = judge(past=past)
    # the window of June 30 begins on June 1; that of July 1 on June 2, with seven inside
    assert blocked(found, "call") == ["INST-DEFAULT/eight_in_30_days"]
    assert permitted_from(found, "call") == "2026-07-01 07:00"
    assert judge(past=past.iloc[1:])["is_allowed"].all()


def test_an_open_promise_rests_until_its_grace_is_over():
    # due Wednesday July 1, grace July 2 and 3, then a weekend
    found = judge(promised=promises({"due_date": "2026-07-01"}))
    assert blocked(found, "visit") == ["INST-DEFAULT/open_promise"]
    assert permitted_from(found, "visit") == "2026-07-06 07:00"
    for status in ("kept", "broken", "partly_kept"):
        assert judge(promised=promises({"due_date": "2026-07-01", "promise_status_code": status}))["is_allowed"].all()


def test_a_payment_gives_two_whole_days_of_peace_unless_it_was_reversed():
    assert blocked(judge(paid=payments({"paid_date": "2026-06-28"})), "call") == ["INST-DEFAULT/recent_payment"]
    assert judge(paid=payments({"paid_date": "2026-06-27"}))["is_allowed"].all()
    undone = payments(
        {"paid_date": "2026-06-28"},
        {"paid_date": "2026-06-29", "is_reversal": True, "reverses_payment_id": "pa0"},
    )
    assert judge(paid=undone)["is_allowed"].all()
    assert permitted_from(judge(paid=payments({"paid_date": "2026-06-29"})), "call") == "2026-07-02 07:00"


def test_who_was_spoken_to_rests_for_two_days_and_who_was_not_does_not():
    spoken = events({"occurred_at": at("2026-06-28 10:00"), "outcome_code": "callback"})
    assert blocked(judge(past=spoken), "call") == ["INST-DEFAULT/recent_conversation"]
    assert judge(past=events({"occurred_at": at("2026-06-28 10:00"), "outcome_code": "third_party"}))[
        "is_allowed"
    ].all()
    assert judge(past=events({"occurred_at": at("2026-06-27 10:00"), "outcome_code": "callback"}))["is_allowed"].all()


def test_a_complaint_rests_for_thirty_days_whoever_called():
    complaint = {"direction_code": "inbound", "outcome_code": "complaint"}
    assert blocked(judge(past=events({"occurred_at": at("2026-05-31 10:00"), **complaint})), "sms") == [
        "INST-DEFAULT/recent_complaint"
    ]
    assert judge(past=events({"occurred_at": at("2026-05-30 10:00"), **complaint}))["is_allowed"].all()


@pytest.mark.parametrize(
    ("status", "open_channels"),
    [
        ("active", {"call", "ivr", "whatsapp", "sms", "email", "visit"}),
        ("hardship", {"call", "visit"}),
        ("deceased", set()),
        ("bankrupt", set()),
        ("dispute", set()),
        ("legal_representation", set()),
        ("moved_abroad", set()),
        (None, set()),
    ],
)
def test_statuses_block_what_they_must_and_unknown_ones_everything(status: str | None, open_channels: set[str]):
    found = judge(who=customers({"customer_status_code": status}))
    allowed = found[found["is_allowed"]].index.get_level_values("channel_code")
    assert set(allowed) == open_channels
    assert found.loc[~found["is_allowed"], "is_never"].all()
    if status == "moved_abroad" or status is None:
        assert blocked(found, "call") == ["PERSON-STATUS/known"]


def test_points_are_used_by_kind_and_preference():
    through = points(
        {"contact_point_id": "land", "kind_code": "landline"},
        {"contact_point_id": "old", "kind_code": "mobile", "updated_at": "2025-01-01"},
        {"contact_point_id": "new", "kind_code": "mobile", "updated_at": "2026-01-01"},
    )
    found = judge(through=through)
    assert found.at[("ana", "call"), "contact_point_id"] == "new"
    assert blocked(found, "whatsapp") == ["CONTACT-POINTS/available"]
    assert blocked(found, "visit") == ["CONTACT-POINTS/available"]
    only_landline = judge(through=through.iloc[:1])
    assert only_landline.at[("ana", "ivr"), "contact_point_id"] == "land"
    assert blocked(only_landline, "sms") == ["CONTACT-POINTS/available"]


@pytest.mark.parametrize(
    ("fact", "expected"),
    [
        pytest.param({"is_valid": False}, ["CONTACT-POINTS/valid"], id="wrong number"),
        pytest.param({"has_consent": None}, ["CONTACT-POINTS/consent"], id="consent never recorded"),
        pytest.param({"has_consent": False}, ["CONTACT-POINTS/consent"], id="consent refused"),
        pytest.param(
            {"opted_out_at": at("2026-06-30 23:00")},
            ["CH-SMS/opt_out", "CONTACT-POINTS/not_opted_out"],
            id="left today",
        ),
        pytest.param({"opted_out_at": at("2026-07-01 00:00")}, [], id="leaves tomorrow: not known yet"),
        pytest.param(
            {"opted_out_at": at("2026-06-01 10:00"), "consent_at": at("2026-06-02 10:00")}, [], id="came back later"
        ),
        pytest.param(
            {"is_valid": False, "has_consent": False},
            ["CONTACT-POINTS/consent", "CONTACT-POINTS/valid"],
            id="every reason is named",
        ),
    ],
)
def test_a_point_needs_validity_consent_and_no_opt_out(fact: dict, expected: list[str]):
    found = judge(through=points({"kind_code": "mobile", **fact}))
    assert blocked(found, "sms") == expected
    assert found.at[("ana", "sms"), "is_never"] == bool(expected)


def test_two_points_that_each_fail_something_else_name_both_failures():
    found = judge(
        through=points({"kind_code": "mobile", "is_valid": False}, {"kind_code": "mobile", "has_consent": False})
    )
    assert blocked(found, "call") == ["CONTACT-POINTS/consent", "CONTACT-POINTS/valid"]


def test_an_opt_out_told_through_a_channel_closes_that_channel():
    said = events({"occurred_at": at("2025-01-10 10:00"), "channel_code": "sms", "outcome_code": "opt_out"})
    found = judge(past=said)
    assert blocked(found, "sms") == ["CH-SMS/opt_out", "CONTACT-POINTS/not_opted_out"]
    assert blocked(found, "call") == []


def test_calls_need_no_recorded_consent_under_the_other_reading():
    other = policies(reading="alternative_reading")
    unknown = judge(through=points({"kind_code": "mobile", "has_consent": None}), rules=other)
    assert blocked(unknown, "call") == []
    assert blocked(unknown, "sms") == ["CONTACT-POINTS/consent_of_messages"]
    refused = judge(through=points({"kind_code": "mobile", "has_consent": False}), rules=other)
    assert blocked(refused, "call") == ["CONTACT-POINTS/consent_not_refused"]


@pytest.mark.parametrize(("owed", "is_allowed"), [(4.99, False), (5.0, True), (None, False)])
def test_nobody_is_sought_for_less_than_the_minimum(owed: float | None, is_allowed: bool):
    assert judge(who=customers({"collectable_amount": owed}))["is_allowed"].all() == is_allowed


def test_every_blocking_rule_is_named_with_its_sources():
    found = judge(
        who=customers({"customer_status_code": "deceased"}),
        past=events({"occurred_at": at("2026-06-30 08:00")}),
        paid=payments({"paid_date": "2026-06-30"}),
    )
    assert blocked(found, "call") == ["EC-BASE/one_a_day", "INST-DEFAULT/recent_payment", "PERSON-STATUS/deceased"]
    assert json.loads(found.at[("ana", "call"), "sources"]) == ["M", "S-2", "S2-3", "S2-4", "S2-61"]
    assert found.at[("ana", "call"), "is_never"]


def test_the_last_rule_to_let_go_decides_the_earliest_moment():
    found = judge(past=events({"occurred_at": at("2026-06-30 08:00")}), promised=promises({"due_date": "2026-07-05"}))
    # the day cap ends on July 1, the promise on July 7 (due 5, grace 6 and 7): July 8 is a Wednesday
    assert permitted_from(found, "call") == "2026-07-08 07:00"


def test_two_loans_are_still_one_person():
    past = events(
        {"occurred_at": at("2026-06-30 08:00"), "interaction_id": "loan1"},
    ).assign(loan_id="L1")
    assert not judge(past=past)["is_allowed"].any()


def test_a_country_without_policy_is_blocked():
    found = judge(rules=policies("CZ"))
    assert set(found["blocked_by"]) == {'["NO-POLICY-CZ"]'}
    assert found["is_never"].all()


def test_colombia_keeps_the_week_to_the_channel_of_the_first_conversation():
    rules = policies("CO", reading="alternative_reading")
    past = events(
        {"occurred_at": at("2026-06-29 09:00"), "channel_code": "sms", "outcome_code": "sent"},
        {"occurred_at": at("2026-07-01 10:00"), "channel_code": "whatsapp", "outcome_code": "replied"},
        {"occurred_at": at("2026-07-02 10:00"), "channel_code": "call", "outcome_code": "right_party"},
    )
    found = judge(past=past.iloc[:2], rules=rules, holidays=worlds.calendar("CO"), as_of=date(2026, 7, 4))
    assert blocked(found, "whatsapp") == []
    assert blocked(found, "sms") == ["CO-LEY2300/one_channel_a_week"]
    assert blocked(found, "visit") == ["CO-LEY2300/one_channel_a_week", "CO-LEY2300/visits"]
    # Saturday 2026-07-04, 08:00 to 15:00 in Bogota (UTC - 5)
    assert found.at[("ana", "whatsapp"), "window_start"] == pd.Timestamp("2026-07-04 13:00")
    assert found.at[("ana", "whatsapp"), "window_end"] == pd.Timestamp("2026-07-04 20:00")


def test_chile_counts_voice_and_messages_apart_and_spaces_messages():
    rules = policies("CL")
    past = events({"occurred_at": at("2026-06-29 10:00"), "channel_code": "sms", "outcome_code": "sent"})
    found = judge(past=past, rules=rules, holidays=worlds.calendar("CL"), timezone="America/Santiago")
    assert blocked(found, "email") == ["CL-21320/spacing"]
    assert blocked(found, "call") == []
    other = policies("CL", reading="alternative_reading")
    later = judge(
        past=past, rules=other, holidays=worlds.calendar("CL"), as_of=date(2026, 7, 1), timezone="America/Santiago"
    )
    assert blocked(later, "email") == []


def test_peru_speaks_of_calls_and_visits_and_messages_keep_the_hours_when_read_strictly():
    saturday = date(2026, 7, 4)
    strict = judge(rules=policies("PE"), holidays=worlds.calendar("PE"), as_of=saturday, timezone="America/Lima")
    other = judge(
        rules=policies("PE", reading="alternative_reading"),
        holidays=worlds.calendar("PE"),
        as_of=saturday,
        timezone="America/Lima",
    )
    assert not strict["is_allowed"].any()
    assert set(other[other["is_allowed"]].index.get_level_values(1)) == {"whatsapp", "sms", "email"}


def test_a_stricter_window_of_the_institution_narrows_the_hours(tmp_path: Path):
    hours = {day: ["09:00-12:00", "14:00-18:30"] for day in ("mon", "tue", "wed", "thu", "fri")}
    rules = own_policies(
        tmp_path,
        [
            {
                "id": "OWN/hours",
                "kind": "window",
                "channels": "all",
                "weekdays": {**hours, "sat": [], "sun": []},
                "holidays": "blocked",
            }
        ],
    )
    found = judge(rules=rules)
    # the longest common stretch, 14:00 to 18:30
    assert found.at[("ana", "call"), "window_start"] == pd.Timestamp("2026-06-30 19:00")
    assert found.at[("ana", "call"), "window_end"] == pd.Timestamp("2026-06-30 23:30")


def test_effective_contacts_can_be_counted_instead_of_attempts(tmp_path: Path):
    rules = own_policies(
        tmp_path,
        [
            {
                "id": "OWN/talks",
                "kind": "max_count",
                "channels": ["call"],
                "window": "rolling_days:10",
                "n": 1,
                "counts": "effective",
            }
        ],
    )
    past = events(
        {"occurred_at": at("2026-06-20 10:00")},
        {"occurred_at": at("2026-06-22 10:00"), "outcome_code": "right_party"},
    )
    found = judge(past=past, rules=rules)
    assert blocked(found, "call") == ["OWN/talks"]
    assert blocked(found, "sms") == []
    # June 22 leaves the ten days on July 2
    assert permitted_from(found, "call") == "2026-07-02 07:00"


def test_a_member_twice_is_refused():
    with pytest.raises(RuleError, match="ana appears twice"):
        judge(who=customers({}, {}))


def test_more_rules_than_bits_in_a_word(tmp_path: Path):
    many = [
        {"id": f"OWN/r{number}", "kind": "min_spacing", "channels": ["call"], "days": number} for number in range(1, 80)
    ]
    found = judge(past=events({"occurred_at": at("2026-06-01 10:00")}), rules=own_policies(tmp_path, many))
    # 29 days have passed: rules of 29 days and more still block
    assert len(blocked(found, "call")) == 79 - 28
    assert blocked(found, "sms") == []


def test_members_without_any_point_or_event_are_judged_like_the_others():
    found = judge(
        who=customers({}, {"customer_id": "bea"}),
        through=every_point("bea"),
        past=events({"occurred_at": at("2026-06-30 09:00"), "customer_id": "zoe"}),
    )
    assert blocked(found, "call", "ana") == ["CONTACT-POINTS/available"]
    assert found.loc["bea", "is_allowed"].all()
