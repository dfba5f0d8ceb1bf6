"""The engine and the checker, written apart, agree on random people in five countries under both readings."""

from __future__ import annotations

from collections import Counter
from datetime import date, timedelta
from typing import get_args

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from puntual.decision.policies import load_policies
from puntual.decision.rule_kinds import Rule
from puntual.decision.rules import evaluate
from tests.property import rule_cases
from tests.property.random_rules import KINDS
from tests.property.rule_cases import READINGS
from tests.unit.decision import worlds

OFFERED = ["call", "ivr", "whatsapp", "sms", "email", "visit"]


@pytest.mark.parametrize("reading", READINGS)
@pytest.mark.parametrize("country", list(rule_cases.ZONES))
def test_what_one_blocks_the_other_finds(country: str, reading: str):
    """Both ways and rule by rule; ``python -m tests.property.rule_cases`` does it for a million cases."""
    judged = allowed = 0
    for number, as_of in enumerate(rule_cases.DAYS[list(rule_cases.ZONES).index(country) % 3 :: 3]):
        random = np.random.default_rng([11, sum(map(ord, country + reading)), number])
        found = rule_cases.compare(country, reading, as_of, random, 30)
        assert not found.differences, "\n".join(found.differences[:5])
        judged, allowed = judged + found.cases, allowed + found.allowed
    assert judged == 3 * 30 * 8
    assert allowed > 10, "a comparison in which almost nobody is allowed shows nothing"


@pytest.mark.slow
def test_random_million_against_the_checker():
    """One world of each country and reading, large ones; the million itself is a command of its own."""
    for number, country in enumerate(rule_cases.ZONES):
        for reading in READINGS:
            random = np.random.default_rng([12, number])
            assert not rule_cases.compare(country, reading, rule_cases.DAYS[number], random, 1500, 6).differences


@pytest.mark.long
def test_random_rules_of_every_kind_are_judged_alike():
    """Worlds of few members with rules of an institution drawn at random; every kind of rule holds somebody back."""
    blocked: Counter[str] = Counter()
    for number in range(12):
        country = list(rule_cases.ZONES)[number % len(rule_cases.ZONES)]
        random = np.random.default_rng([21, number])
        as_of = rule_cases.DAYS[number % len(rule_cases.DAYS)]
        found = rule_cases.compare(country, READINGS[number // 6], as_of, random, 60, own_rules=8)
        assert not found.differences, "\n".join(found.differences[:5])
        blocked += found.blocked
    assert set(blocked) == set(KINDS)


@settings(max_examples=10, deadline=None)
@given(st.sampled_from(KINDS), st.integers(0, 2**32), st.sampled_from(list(rule_cases.ZONES)))
def test_a_random_rule_of_a_kind_is_judged_alike_by_both(kind: str, seed: int, country: str):
    """One kind at a time, so that what Hypothesis finds is small: the rule stands in the sentence that fails."""
    random = np.random.default_rng(seed)
    as_of = rule_cases.DAYS[seed % len(rule_cases.DAYS)]
    found = rule_cases.compare(country, READINGS[seed % 2], as_of, random, 12, own_rules=2, kind=kind)
    assert not found.differences, "\n".join(found.differences[:5])


def test_a_kind_of_rule_that_is_not_drawn_is_one_that_holds_no_member_back():
    kinds = {part.model_fields["kind"].annotation.__args__[0] for part in get_args(get_args(Rule)[0])}
    assert kinds - set(KINDS) == {"max_users", "min_count_by", "fee"}


@pytest.mark.parametrize("country", ["EC", "CO", "CL"])
def test_the_earliest_moment_is_the_first_that_is_permitted(country: str):
    """Asked again on each later day with the same past, a member is blocked until that day and allowed on it."""
    office, zones = rule_cases.ZONES[country]
    holidays = worlds.calendar(country)
    start = date(2026, 6, 26)
    frames, _ = rule_cases.random_world(np.random.default_rng([7, ord(country[0])]), start, zones[:1], 120)
    # what is dated after the first day would be news on a later one
    frames["interactions"] = frames["interactions"][frames["interactions"]["occurred_at"] < pd.Timestamp(start)]
    frames["contact_points"] = frames["contact_points"].assign(opted_out_at=pd.NaT, consent_at=pd.NaT)
    frames["payments"] = frames["payments"][frames["payments"]["paid_date"] <= pd.Timestamp(start)]
    first = None
    for later in range(14):
        day = start + timedelta(days=later)
        rules = load_policies(worlds.POLICIES, None, country, day)
        found = evaluate(
            *frames.values(), policies=rules, holidays=holidays, as_of=day, timezone=office, channels=OFFERED
        )
        if first is None:
            first = found
        promised = first["earliest_permitted_at"].dt.tz_localize("UTC").dt.tz_convert(zones[0]).dt.date
        due = promised.notna() & (promised <= day)
        # the eve of a promise is open for a reminder, the days after it are not
        closed_again = found["blocked_by"].str.contains("/hours|open_promise_reminder")
        still_open = found["is_allowed"] | closed_again
        assert still_open[due].all()
        early = promised.isna() | (promised > day)
        assert not found["is_allowed"][early].any()
        on_the_day = promised == day
        assert found["is_allowed"][on_the_day].all()
        assert (found["window_start"][on_the_day] == first["earliest_permitted_at"][on_the_day]).all()
