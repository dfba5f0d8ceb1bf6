"""A limit on calls or visits beside the collectors: kept by whatever plans a contact, priced, judged, changed in a what-if."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from puntual.audit.inputs import complete
from puntual.audit.whatif import Change, changed_arguments, keys
from puntual.decision.allocate import allocate
from puntual.decision.arms import LADDER
from puntual.decision.capacity import Capacity, Cell, capacities, roster
from puntual.decision.checker import check
from puntual.decision.decide import DecisionOutcome, decide
from puntual.decision.sending import contacts_a_day
from tests.unit.decision import worlds
from tests.unit.decision.exact import best_value
from tests.unit.decision.test_decide import COSTS, LIMITS, book, in_arms, run, team
from tests.unit.decision.test_minimums import duties
from tests.unit.decision.test_owners import owned, rules
from tests.unit.decision.test_second import FREE
from tests.unit.decision.worlds import QUITO, TUESDAY

PEOPLE = team(
    {"daily_capacity": 12},
    {"daily_capacity": 9, "channels": "visit", "zone": "Loja"},
    {"daily_capacity": 6, "channels": "call,visit", "zone": "Manabí"},
    {"daily_capacity": 8, "channels": "visit", "zone": "Quito"},
)
TIGHT = LIMITS | {"call": 4, "visit": 2}


def counted(found: DecisionOutcome) -> dict[str, int]:
    contacts = pd.concat([found.decisions["action"], found.second_contacts["action"]])
    return {name: int((contacts == name).sum()) for name in ("call", "visit")}


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"exploration_share": 0.4},
        {"arms": [(f"m{number:05d}", LADDER) for number in range(0, 90, 2)], "exploration_share": 0.1},
        {"duties": [{"customer_id": f"m{number:05d}", "is_last_chance": True} for number in range(12)]},
        {"policies": FREE, "actions_per_person": 2, "second_action_share": 0.9},
        {"hour_bands": {"call": {"08:00-12:00": 30, "12:00-18:00": 30}}, "daily_budget": 60.0},
        {"owners": [{"owner": "Andina", "past_due_days": {"min": 60}}]},
        {"channel_scores": None},
    ],
    ids=["plan", "draws", "ladder arm", "duties", "second", "bands and budget", "owners", "ladder"],
)
def test_the_limit_is_kept_by_everything_that_plans_a_contact(options: dict[str, Any]):
    inputs = book(90, seed=5) | {"collectors": PEOPLE}
    more = dict(options)
    if "arms" in more:
        more["arms"] = in_arms(*more["arms"])
    if "duties" in more:
        more["duties"] = duties(*more["duties"])
    if "owners" in more:
        more["owners"], inputs["collectors"] = rules(*more["owners"]), owned()
    free, tight = run(inputs | more, daily_capacity=LIMITS), run(inputs | more, daily_capacity=TIGHT)
    assert counted(free)["call"] > 4
    assert counted(tight)["call"] <= 4 and counted(tight)["visit"] <= 2
    prices = tight.prices.set_index("capacity_name")
    assert prices.loc[["limit:call", "limit:visit"], "capacity_count"].tolist() == [4, 2]
    assert (tight.prices["used_count"] <= tight.prices["capacity_count"]).all()
    assert prices.loc[["limit:call", "limit:visit"], "used_count"].tolist() == list(counted(tight).values())
    assert (tight.summary["gap_rate"] or 0.0) <= 1e-3


def test_the_price_is_what_one_more_call_adds():
    inputs = book(120, seed=6) | {"collectors": PEOPLE}
    one, more = (run(inputs, daily_capacity=LIMITS | {"call": count}) for count in (5, 6))
    price = one.prices.set_index("capacity_name").at["limit:call", "price_amount"]
    gained = more.summary["planned_value_amount"] - one.summary["planned_value_amount"]
    assert price == pytest.approx(gained, abs=0.011) and price > 0


@pytest.mark.parametrize("seed", range(12))
def test_a_plan_under_limits_across_pools_is_as_good_as_an_exact_one(seed: int):
    random = np.random.default_rng(seed)
    size, channels = 60, ["call", "visit", "sms"]
    value = random.gamma(0.8, 6.0, (size, 3)) - 1
    allowed = random.random((size, 3)) < 0.9
    zones = random.choice(np.array(["loja", "manabi", "quito"], dtype=object), size)
    offered = capacities(
        roster(PEOPLE, channels, TUESDAY), channels, {"call": int(random.integers(0, 12)), "visit": 5, "sms": 8}
    )
    found = allocate(value, allowed, offered, channels=channels, zones=zones)
    best = best_value(value, allowed, offered, channels, zones)
    assert best * (1 - 1e-3) <= found.value <= best + 1e-6
    assert found.dual_bound >= best - 1e-6


def test_without_anybody_who_calls_there_is_one_limit_of_nothing():
    offered = capacities(roster(PEOPLE.iloc[1:2], ["call"], TUESDAY), ["call"], {"call": 7})
    assert offered == [Capacity("collectors:call", (Cell("call"),), 0)]


def test_the_checker_counts_calls_and_visits_against_their_limits():
    inputs = book(90, seed=5) | {"collectors": PEOPLE}
    found = run(inputs, daily_capacity=LIMITS)
    given = {name: inputs[name] for name in inputs if name != "channel_scores"} | {
        "policy_files": worlds.policies().files, "holidays": worlds.calendar(), "country": "EC", "currency": "USD",
        "timezone": QUITO, "reading": "strict_default", "as_of": TUESDAY,
    }  # fmt: skip
    made = counted(found)
    assert not check(found.decisions, daily_capacity=LIMITS | made, **given)
    for name, count in made.items():
        problems = check(found.decisions, daily_capacity=LIMITS | {name: count - 1}, **given)
        assert problems == [f"{count} contacts by {name}, {count - 1} a day are allowed"]


def test_the_checker_adds_up_what_a_channel_costs():
    inputs = book(90, seed=5) | {"collectors": PEOPLE, "channel_budgets": {"whatsapp": 0.36, "call": 2.0}}
    found = run(inputs)
    # six messages of .06 and four calls of .45
    assert (found.decisions["action"].value_counts()[["whatsapp", "call"]] == [6, 4]).all()
    given = {name: inputs[name] for name in inputs if name not in {"channel_scores", "channel_budgets"}} | {
        "policy_files": worlds.policies().files, "holidays": worlds.calendar(), "country": "EC", "currency": "USD",
        "timezone": QUITO, "reading": "strict_default", "as_of": TUESDAY, "daily_capacity": LIMITS,
    }  # fmt: skip
    assert not check(found.decisions, channel_budgets={"whatsapp": 0.36, "call": 2.0}, **given)
    assert check(found.decisions, channel_budgets={"whatsapp": 0.35}, **given) == [
        "the contacts by whatsapp cost 0.36, 0.35 a day are allowed"
    ]


def test_money_over_a_cost_of_next_to_nothing_is_bounded():
    assert contacts_a_day(None, 10**9, 1e-300) == 10**9
    assert contacts_a_day(7, 1.0, 0.0) == 7


def test_a_what_if_changes_the_limit_and_the_team_apart():
    inputs = book(30) | {
        "collectors": PEOPLE, "daily_capacity": TIGHT, "policies": worlds.policies(), "costs": COSTS,
        "holidays": worlds.calendar(), "as_of": TUESDAY, "timezone": QUITO, "default_risk": None, "ladder": None,
        "exploration_share": 0.0,
    }  # fmt: skip
    given = complete(decide, inputs)
    assert keys(given)["channels.call.daily_capacity"] == 4 and keys(given)["channels.call.capacity"] == 18
    alone = changed_arguments(given, [Change.parse("channels.call.daily_capacity=+3")])
    assert alone["daily_capacity"]["call"] == 7 and alone["collectors"].equals(PEOPLE)
    both = changed_arguments(given, [Change.parse("channels.call.capacity=+50%")])
    assert both["daily_capacity"]["call"] == 6 and both["collectors"]["daily_capacity"].tolist() == [18, 9, 9, 8]
    assert (
        changed_arguments(given, [Change.parse("channels.visit.daily_capacity=none")])["daily_capacity"]["visit"]
        is None
    )
