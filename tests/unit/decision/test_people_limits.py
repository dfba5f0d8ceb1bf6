"""Limits on people (teams, shares of owners) are capacities of the plan: as good as an exact solver, and never broken."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from puntual.decision import capacity as capacities_of
from puntual.decision.allocate import allocate, most_served
from puntual.decision.capacity import Capacity, Cell, Layout, are_nested, budget, serve
from tests.unit.decision.exact import best_value
from tests.unit.decision.test_decide import book, run, team
from tests.unit.decision.test_owners import rules
from tests.unit.decision.test_second import FREE

CHANNELS = ["call", "visit", "sms"]
PLACES = np.array(["loja", "manabi", "quito"], dtype=object)
HONEST = 1e-3


def hostile(seed: int, kind: str) -> dict[str, Any]:
    """People of six teams, callers and visitors by zone, and limits on teams well below what their people can do.

    ``nested``: limits within limits. ``crossing``: each pool is in two limits that cross. ``mixed``: beside a limit on
    calls, one on messages and calls, and a budget in money.
    """
    random = np.random.default_rng(seed)
    size = int(random.integers(15, 45))
    skills = [(("call",), None), (("visit",), "loja"), (("visit",), "quito"), (("call", "visit"), "manabi")]
    pools = []
    for number, name in enumerate("abcdef"):
        for channels, zone in (skills[place] for place in random.choice(4, 2, replace=False)):
            cells = tuple(Cell(one, zone if one == "visit" else None) for one in channels)
            pools.append(
                Capacity(f"{'+'.join(channels)}@{zone}/{name}/{number % 2}", cells, int(random.integers(1, 6)), "pool")
            )

    def limit(name: str, mine: list[Capacity], part: float) -> Capacity:
        cells = tuple(dict.fromkeys(cell for one in mine for cell in one.cells))
        count = int(part * sum(one.count for one in mine))
        return Capacity(name, cells, count, "limit", pools=tuple(one.name for one in mine))

    limits = [limit(f"team:{name}", [one for one in pools if f"/{name}/" in one.name], 0.5) for name in "abcd"]
    owners = {
        "nested": [("share:1", [one for one in pools if one.name.split("/")[1] in "ab"])],
        "crossing": [
            (f"share:{half}", [one for one in pools if one.name.startswith(half)]) for half in ("call", "visit")
        ],
        "mixed": [("share:0", [one for one in pools if one.name.endswith("/0")])],
    }[kind]
    limits += [limit(name, mine, 0.4) for name, mine in owners if mine]
    offered = [*pools, *limits, Capacity("messages:sms", (Cell("sms"),), 4)]
    if kind == "mixed":
        offered += [Capacity("limit:call", (Cell("call"),), int(random.integers(0, 9)))]
        offered += [
            Capacity("rule:x", (Cell("call"), Cell("sms")), 8),
            budget("budget:day", 30.0, {"call": 0.5, "visit": 4.5, "sms": 0.03}),
        ]
    served = {channel for one in pools for channel in one.channels}
    value = np.round(random.gamma(0.7, 8.0, (size, 3)) - 1, 2)
    if seed % 3 == 0:
        # all alike but for the channel: nothing tells the members apart
        value = np.round(value.mean(axis=0) + np.zeros_like(value), 2)
    return {
        "value": value,
        "allowed": (random.random((size, 3)) < 0.85) & np.isin(CHANNELS, [*served, "sms"]),
        "capacities": offered,
        "channels": CHANNELS,
        "zones": random.choice(PLACES, size),
    }


@pytest.mark.parametrize("kind", ["nested", "crossing", "mixed"])
@pytest.mark.parametrize("seed", [0, 1, 2, *(pytest.param(seed, marks=pytest.mark.long) for seed in range(3, 24))])
def test_a_plan_under_limits_on_people_is_as_good_as_an_exact_one(seed: int, kind: str):
    world = hostile(seed, kind)
    found = allocate(**world)
    best = best_value(**world)
    assert (found.used <= [one.count for one in world["capacities"]]).all()
    assert found.dual_bound >= best - 1e-6
    assert found.value <= best + 1e-6
    if found.is_optimal:
        assert found.value == pytest.approx(best, abs=1e-6)
    if kind == "nested":
        assert found.is_optimal


@pytest.mark.long
def test_most_plans_under_crossing_limits_are_within_a_thousandth():
    gaps = []
    for kind in ("crossing", "mixed"):
        for seed in range(24):
            world = hostile(seed, kind)
            best = best_value(**world)
            gaps.append((best - allocate(**world).value) / best)
    assert np.quantile(gaps, 0.9) <= HONEST, sorted(gaps)[-8:]


@pytest.mark.parametrize("seed", range(8))
def test_prices_of_a_network_are_what_one_more_adds(seed: int):
    world = hostile(seed * 3 + 1, "nested")
    found = allocate(**world)
    assert found.is_optimal
    for position, one in enumerate(world["capacities"]):
        more = [*world["capacities"]]
        more[position] = replace(one, count=one.count + 1)
        assert found.prices[position] == pytest.approx(
            allocate(**world | {"capacities": more}).value - found.value, abs=1e-6
        )


@pytest.mark.parametrize("kind", ["nested", "crossing"])
@pytest.mark.parametrize("seed", range(8))
def test_as_many_as_possible_are_served_within_limits_on_people(seed: int, kind: str):
    world = hostile(seed, kind)
    found = most_served(np.zeros(len(world["value"]), dtype=bool), **world)
    most = best_value(**world | {"value": np.ones_like(world["value"])})
    positive = best_value(**world | {"value": np.where(world["value"] > 0, 1.0, -1.0)})
    assert positive <= (found.choice >= 0).sum() <= most
    assert (found.used <= [one.count for one in world["capacities"]]).all()


@given(st.integers(0, 10_000))
@settings(max_examples=40, deadline=None)
def test_a_flow_and_an_exact_program_serve_alike(seed: int):
    """Where limits are nested both ways hold: the same number, nothing beyond what there is."""
    random = np.random.default_rng(seed)
    pools = int(random.integers(2, 6))
    member, units = random.random((pools, 2, 3)) < 0.5, random.integers(0, 7, pools)
    counts = random.integers(0, 9, (2, 3))
    over = np.zeros((2, pools), dtype=bool)
    over[0, : pools // 2 + 1] = over[1, : int(random.integers(0, pools // 2 + 2))] = True
    most = random.integers(0, 8, 2)
    assert are_nested(over)
    flow = serve(counts, member, units, over, most)
    cells = [tuple(cell) for cell in np.argwhere(member.any(axis=0) & (counts > 0))]
    program = capacities_of._serve_across(np.zeros_like(flow), cells, counts, member, units, over, most)
    assert flow.sum() == program.sum()
    for split in (flow, program):
        by_pool = split.sum(axis=(1, 2))
        assert (by_pool <= units).all() and (over @ by_pool <= most).all()
        assert (split.sum(axis=0) <= counts).all() and not split[~member].any()


def test_a_team_at_its_limit_loses_nothing_where_only_some_of_its_people_are_asked_for():
    """Four members in Loja, twenty in Quito who can be visited; one visitor each of 20, 20 together: 20 visits, not 14."""
    inputs = book(60, seed=3)
    inputs["customers"]["province"] = ["Loja"] * 4 + ["Quito"] * 56
    gain = np.where(inputs["channel_scores"]["channel_code"] == "visit", 20.0, -1.0)
    inputs["channel_scores"] = inputs["channel_scores"].assign(gain_amount=gain)
    inputs["collectors"] = team(
        *({"zone": zone, "channels": "visit", "daily_capacity": 20, "team": "north"} for zone in ("Loja", "Quito"))
    )
    free, found, more = (run(inputs, team_capacity=limit) for limit in (None, {"north": 20}, {"north": 21}))
    visits = [(one.decisions["action"] == "visit").sum() for one in (free, found, more)]
    assert visits == [24, 20, 21]
    assert found.summary["is_optimal"] and found.summary["gap_rate"] == 0.0
    row = found.prices.set_index("capacity_name").loc["team:north"]
    assert (row["capacity_count"], row["used_count"], row["team"]) == (20, 20, "north")
    gained = more.summary["planned_value_amount"] - found.summary["planned_value_amount"]
    assert row["price_amount"] == pytest.approx(gained, abs=0.011) and gained > 0


def test_a_share_of_an_owner_is_given_where_it_is_worth_most():
    """The agency may do half of what all can: 15 of 30. All of its work is in Quito, where one of its two visits 20."""
    inputs = book(60, seed=3)
    inputs["customers"]["province"] = "Quito"
    gain = np.where(inputs["channel_scores"]["channel_code"] == "visit", 20.0, -1.0)
    inputs["channel_scores"] = inputs["channel_scores"].assign(gain_amount=gain)
    people = team(
        {"zone": "Loja", "channels": "visit", "daily_capacity": 10},
        {"zone": "Quito", "channels": "visit", "daily_capacity": 20},
    ).assign(kind_code="agency", agency="Andina")
    found = run(inputs | {"collectors": people, "owners": rules({"owner": "Andina", "max_share": 0.5})})
    assert (found.decisions["action"] == "visit").sum() == 15
    row = found.prices.set_index("capacity_name").loc["share:Andina"]
    assert (row["capacity_count"], row["used_count"]) == (15, 15) and row["price_amount"] > 0


def test_people_of_a_limited_team_are_given_alike_parts_of_their_day():
    """Two teams who do the same, one of them limited: nobody's day is full while another's is empty."""
    inputs = book(60, seed=3)
    gain = np.where(inputs["channel_scores"]["channel_code"] == "call", 20.0, -1.0)
    inputs["channel_scores"] = inputs["channel_scores"].assign(gain_amount=gain)
    people = team(*({"daily_capacity": 40, "team": name} for name in ("north", "north", "south", "south")))
    found = run(inputs | {"collectors": people}, team_capacity={"north": 70})
    calls = found.decisions["collector_id"].value_counts()
    assert calls.sum() > 20 and calls.max() - calls.min() <= 2 and len(calls) == 4


def test_a_limit_on_people_names_no_zone_and_weighs_no_cell():
    pools = [Capacity("a", (Cell("visit", "loja"),), 3, "pool"), Capacity("b", (Cell("call"),), 3, "pool")]
    limit = capacities_of.limit_of("team:x", 4, pd.DataFrame({"pool": ["b", "a", "a"]}), pools)
    assert limit.pools == ("a", "b") and limit.zone is None and limit.channels == ("visit", "call")
    layout = Layout.of([*pools, limit], ["call", "visit"])
    assert not layout.weight[2].any() and layout.over[2].tolist() == [True, True, False]
    # visits in Loja and calls everywhere may use it
    assert layout.reach[2].tolist() == [[1, 1], [1, 0]]
    assert layout.spread(layout.counts).tolist() == [2, 2, 4]


CROSSED = team(
    {"daily_capacity": 8, "team": "north"},
    {"daily_capacity": 8, "team": "south"},
    {"daily_capacity": 6, "channels": "call,visit", "zone": "Loja", "team": "north"},
    {"daily_capacity": 6, "channels": "call,visit", "zone": "Quito", "team": "south"},
    {"daily_capacity": 6, "channels": "visit", "zone": "Manabí", "team": "south"},
).assign(kind_code=["agency", "agency", None, "agency", None], agency=["Andina", "Andina", None, "Andina", None])


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"exploration_share": 0.4},
        {"policies": FREE, "actions_per_person": 2, "second_action_share": 0.9},
        {"hour_bands": {"call": {"08:00-12:00": 30, "12:00-18:00": 30}}, "daily_budget": 25.0},
        {"channel_scores": None},
    ],
    ids=["plan", "draws", "second", "bands and budget", "ladder"],
)
@pytest.mark.parametrize("limits", [{"north": 9, "south": 12}, {"north": 3}, {"north": 0, "south": 5}])
def test_limits_that_cross_are_never_broken(options: dict[str, Any], limits: dict[str, int]):
    """People of both teams are of one agency, which may have three tenths."""
    inputs = book(90, seed=5) | {"collectors": CROSSED} | options
    found = run(inputs, team_capacity=limits, owners=rules({"owner": "Andina", "max_share": 0.3}))
    listed = pd.concat([found.decisions["collector_id"], found.second_contacts["collector_id"]]).dropna()
    of = CROSSED.set_index("collector_id")
    made = listed.map(of["team"]).value_counts()
    assert all(made.get(name, 0) <= count for name, count in limits.items())
    assert (listed.value_counts() <= of["daily_capacity"].reindex(listed.value_counts().index)).all()
    by_agency = listed.map(of["agency"]).eq("Andina").sum()
    could = sum(min(limits.get(name, 99), room) for name, room in {"north": 14, "south": 20}.items())
    assert by_agency <= 0.3 * could and len(listed) > 0
    assert (found.prices["used_count"] <= found.prices["capacity_count"]).all()
    assert found.prices["capacity_name"].is_unique
    rows = found.prices.set_index("capacity_name")
    for name, count in limits.items():
        if count:
            assert rows.at[f"team:{name}", "used_count"] == made.get(name, 0)
    assert rows.at["share:Andina", "used_count"] == by_agency
    if found.summary["gap_rate"] is not None:
        assert found.summary["gap_rate"] <= 0.02
