"""Duties to contact: from when to when they are owed, what answers them, and when nobody can meet them any more."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from puntual.decision.duties import OWED_COLUMNS, infeasible, overdue, owed
from puntual.errors import RuleError
from tests.unit.decision import worlds
from tests.unit.decision.worlds import at, customers, events, judge, policies

SANTIAGO = "America/Santiago"
# Monday June 1; fifteen days after it is Tuesday the 16th
MISSED = pd.DataFrame({"customer_id": ["ana"], "due_date": [pd.Timestamp("2026-06-01")]})


def ask(as_of: date, past: pd.DataFrame | None = None, missed: pd.DataFrame = MISSED, function: Any = owed) -> Any:
    return function(
        missed,
        customers(),
        events() if past is None else past,
        policies=policies("CL", as_of),
        holidays=worlds.calendar("CL"),
        as_of=as_of,
        timezone=SANTIAGO,
    )


@pytest.mark.parametrize(
    ("as_of", "expected"),
    [
        pytest.param(date(2026, 6, 1), None, id="the due date itself is not missed yet"),
        pytest.param(date(2026, 6, 2), False, id="the day after"),
        pytest.param(date(2026, 6, 15), False, id="one day is left"),
        pytest.param(date(2026, 6, 16), True, id="the fifteenth day"),
        pytest.param(date(2026, 6, 17), None, id="too late"),
    ],
)
def test_a_contact_is_owed_from_the_day_after_to_the_fifteenth(as_of: date, expected: bool | None):
    found = ask(as_of)
    assert list(found.columns) == list(OWED_COLUMNS)
    if expected is None:
        assert found.empty
        return
    assert found["due_on"].tolist() == [date(2026, 6, 16)]
    assert found["due_date"].tolist() == [date(2026, 6, 1)]
    assert found["rule_id"].tolist() == ["CL-21320/first_notice"]
    assert found["is_last_chance"].tolist() == [expected]
    assert "sms" in json.loads(found["channels"][0])


def test_the_last_chance_is_the_last_open_day():
    # due on Saturday June 6: the fifteenth day, June 21, is a Sunday, closed in Chile; the last chance is Saturday
    missed = MISSED.assign(due_date=pd.Timestamp("2026-06-06"))
    assert ask(date(2026, 6, 19), missed=missed)["due_on"].tolist() == [date(2026, 6, 20)]
    assert ask(date(2026, 6, 20), missed=missed)["is_last_chance"].tolist() == [True]


@pytest.mark.parametrize(
    ("event", "is_owed"),
    [
        pytest.param(
            {"occurred_at": at("2026-06-01 18:00", SANTIAGO)}, True, id="on the due date: before it was missed"
        ),
        pytest.param({"occurred_at": at("2026-06-02 09:00", SANTIAGO)}, False, id="the day after"),
        pytest.param(
            {"occurred_at": at("2026-06-02 09:00", SANTIAGO), "direction_code": "inbound"}, True, id="came in by itself"
        ),
        pytest.param(
            {"occurred_at": at("2026-06-02 09:00", SANTIAGO), "channel_code": "ivr"}, True, id="not one of the channels"
        ),
        pytest.param(
            {"occurred_at": at("2026-06-02 09:00", SANTIAGO), "customer_id": "bea"}, True, id="another member"
        ),
    ],
)
def test_what_answers_a_duty(event: dict[str, Any], is_owed: bool):
    assert len(ask(date(2026, 6, 10), events(event))) == is_owed


def test_of_several_missed_dates_the_most_urgent_is_owed_and_each_is_judged_alone():
    missed = pd.DataFrame({"customer_id": ["ana", "ana"], "due_date": pd.to_datetime(["2026-05-25", "2026-06-08"])})
    assert ask(date(2026, 6, 9), missed=missed)["due_on"].tolist() == [date(2026, 6, 9)]
    answered = events({"occurred_at": at("2026-06-02 09:00", SANTIAGO)})
    # the contact of June 2 answers the date of May 25, not that of June 8: its end, June 23, stays
    assert ask(date(2026, 6, 9), answered, missed)["due_on"].tolist() == [date(2026, 6, 23)]


def test_a_country_without_duties_owes_nothing():
    found = owed(
        MISSED,
        customers(),
        events(),
        policies=policies("EC", date(2026, 6, 10)),
        holidays=worlds.calendar(),
        as_of=date(2026, 6, 10),
        timezone=worlds.QUITO,
    )
    assert found.empty
    assert list(found.columns) == list(OWED_COLUMNS)


def test_what_nobody_met_is_reported_once():
    assert len(ask(date(2026, 6, 17), function=overdue)) == 1
    assert ask(date(2026, 6, 16), function=overdue).empty
    assert ask(date(2026, 6, 18), function=overdue).empty
    answered = events({"occurred_at": at("2026-06-16 19:00", SANTIAGO)})
    assert ask(date(2026, 6, 17), answered, function=overdue).empty


def test_duties_that_the_limits_make_impossible_are_alarmed():
    as_of = date(2026, 6, 16)
    verdicts = judge(
        who=customers({"customer_status_code": "dispute"}),
        rules=policies("CL", as_of),
        holidays=worlds.calendar("CL"),
        as_of=as_of,
        timezone=SANTIAGO,
    ).reset_index()
    zones = pd.Series({"ana": None}, dtype=object)
    assert infeasible(ask(as_of), verdicts, zones=zones, timezone=SANTIAGO).tolist() == [True]
    free = judge(rules=policies("CL", as_of), holidays=worlds.calendar("CL"), as_of=as_of, timezone=SANTIAGO)
    assert infeasible(ask(as_of), free.reset_index(), zones=zones, timezone=SANTIAGO).tolist() == [False]
    # a member about whom nobody decides has no verdict
    assert infeasible(ask(as_of), free.reset_index().head(0), zones=zones, timezone=SANTIAGO).tolist() == [True]


def test_a_limit_that_ends_in_time_does_not_make_a_duty_impossible():
    # a payment on Monday rests Tuesday and Wednesday: Thursday June 11 is in time for the 16th
    as_of = date(2026, 6, 9)
    verdicts = judge(
        paid=worlds.payments({"paid_date": "2026-06-08"}),
        rules=policies("CL", as_of),
        holidays=worlds.calendar("CL"),
        as_of=as_of,
        timezone=SANTIAGO,
    ).reset_index()
    assert not verdicts["is_allowed"].any()
    assert infeasible(ask(as_of), verdicts, zones=pd.Series(dtype=object), timezone=SANTIAGO).tolist() == [False]


def test_what_ended_on_a_day_without_a_run_is_reported_by_the_next_run():
    # due on Friday June 5 and Saturday June 6: over after the 20th and 21st; no run on Sunday, the next on Monday
    missed = pd.DataFrame({"customer_id": "ana", "due_date": pd.to_datetime(["2026-06-05", "2026-06-06"])})

    def late(as_of: date, since: date | None = None) -> list[tuple[date, date]]:
        found = overdue(
            missed,
            customers(),
            events(),
            policies=policies("CL", as_of),
            holidays=worlds.calendar("CL"),
            as_of=as_of,
            timezone=SANTIAGO,
            since=since,
        )
        return list(zip(found["due_date"], found["due_on"], strict=True))

    # both could be met until Saturday the 20th: the 21st is a Sunday and a holiday
    both = [(date(2026, 6, 5), date(2026, 6, 20)), (date(2026, 6, 6), date(2026, 6, 20))]
    assert late(date(2026, 6, 22), date(2026, 6, 20)) == both
    assert late(date(2026, 6, 22)) == both[1:]
    assert late(date(2026, 6, 23), date(2026, 6, 22)) == []
    with pytest.raises(RuleError, match="earlier day"):
        late(date(2026, 6, 22), date(2026, 6, 22))


def test_the_institution_may_shorten_a_duty_and_not_lengthen_it(tmp_path: Path):
    from tests.unit.decision.test_policies import load, own

    rule = {"id": "OWN/x", "kind": "min_count_by", "channels": ["sms"], "event": "missed_due_date", "n": 1}
    assert "OWN/x" in {entry.rule.id for entry in load(own(tmp_path, {**rule, "days": 10}), "CL").rules}
    with pytest.raises(RuleError, match="looser than CL-21320/first_notice"):
        load(own(tmp_path, {**rule, "days": 20}), "CL")
