"""Bands of hours as capacities: within what the rules permit, best hours first, priced, near an exact solver, judged."""

from __future__ import annotations

import time
from datetime import date
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from puntual.decision.allocate import allocate
from puntual.decision.capacity import Capacity, Cell, budget
from puntual.decision.decide import DecisionOutcome
from puntual.errors import RuleError
from puntual.hour_bands import in_order, minutes_of
from puntual.settings import ChannelSettings
from tests.unit.decision.exact import best_value
from tests.unit.decision.test_decide import COSTS, book, judged, run, team
from tests.unit.decision.test_minimums import duties
from tests.unit.decision.test_owners import owned, rules
from tests.unit.decision.worlds import QUITO, TUESDAY

BANDS = {"call": {"08:00-10:00": 2, "10:00-13:00": 3, "13:00-17:00": 1}, "sms": {"08:00-12:00": 6, "12:00-20:00": 3}}
WIDE = {"call": {"07:00-10:00": 500, "10:00-20:00": 500}, "sms": {"07:00-20:00": 500}}
ONLY_CALLS = dict.fromkeys(COSTS, 0) | {"call": None, "visit": None}


def local(outcome: DecisionOutcome, zone: str = QUITO) -> pd.DataFrame:
    """Contacts with their hours on the clock of ``zone`` as HH:MM."""
    rows = outcome.decisions[outcome.decisions["action"] != "none"].copy()
    for name in ("window_start", "window_end"):
        rows[name] = rows[name].dt.tz_localize("UTC").dt.tz_convert(zone).dt.strftime("%H:%M")
    return rows.assign(band=rows["window_start"] + "-" + rows["window_end"]).set_index("customer_id")


def reach(channel: str, rates: dict[int, float], segment: str = "") -> pd.DataFrame:
    return pd.DataFrame(
        {
            "channel_code": channel,
            "segment": segment,
            "weekday": TUESDAY.isoweekday(),
            "hour": list(rates),
            "attempt_count": 100,
            "shrunk_rate": list(rates.values()),
            "is_enough": True,
        }
    )


def banded(random: np.random.Generator, size: int) -> tuple[Any, ...]:
    """Values, permission, capacities over actions, their names and zones: pools, messages and bands that bind."""
    columns = ["call@a", "call@b", "call@c", "visit", "sms@a", "sms@b", "email"]
    channel = np.array([0, 0, 0, 1, 2, 2, 3])
    value = (random.gamma(0.7, 6.0, (size, 4)) - 1)[:, channel] * random.choice([0.7, 1.0, 1.0, 1.3], (size, 7))
    allowed = (random.random((size, 4)) < 0.9)[:, channel] & (random.random((size, 7)) < 0.8)
    calls = tuple(Cell(name) for name in columns[:3])
    few = max(1, size // 40)
    capacities = [
        Capacity("call", calls, 4 * few, "pool"),
        Capacity("both", (*calls, Cell("visit", "x")), 2 * few, "pool"),
        Capacity("visit", (Cell("visit", "y"),), few, "pool"),
        Capacity("sms", (Cell("sms@a"), Cell("sms@b")), 6 * few),
        *(Capacity(f"hours {name}", (Cell(name),), count * few) for name, count in zip(
            ["call@a", "call@b", "call@c", "sms@a", "sms@b"], [1, 3, 1, 2, 5], strict=True)),
    ]  # fmt: skip
    zones = random.choice(["x", "y", "z"], size).astype(object)
    return value, allowed, capacities, columns, zones


@given(st.integers(0, 10_000), st.integers(5, 60))
@settings(max_examples=25, deadline=None)
def test_with_bands_the_choice_is_the_best(seed: int, size: int):
    value, allowed, capacities, columns, zones = banded(np.random.default_rng(seed), size)
    found = allocate(value, allowed, capacities, channels=columns, zones=zones)
    assert found.value == pytest.approx(best_value(value, allowed, capacities, columns, zones))
    assert found.is_optimal and (found.used <= [one.count for one in capacities]).all()


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("has_budget", [False, True])
def test_the_gap_on_a_thousand_members_is_at_most_a_thousandth(seed: int, has_budget: bool):
    value, allowed, capacities, columns, zones = banded(np.random.default_rng(seed), 1_000)
    if has_budget:
        capacities = [
            *capacities,
            budget("money", 40.0, dict(zip(columns, [0.5] * 3 + [4.0, 0.1, 0.1, 0.0], strict=True))),
        ]
    found = allocate(value, allowed, capacities, channels=columns, zones=zones)
    exact = best_value(value, allowed, capacities, columns, zones)
    assert exact * (1 - 1e-3) <= found.value <= exact * (1 + 1e-5) <= found.dual_bound * (1 + 2e-5)
    assert found.gap <= 1e-3 and (found.used <= [one.count for one in capacities]).all()


@pytest.mark.parametrize("seed", [1, 2, 8])
def test_prices_of_bands_are_what_one_more_contact_in_them_adds(seed: int):
    value, allowed, capacities, columns, zones = banded(np.random.default_rng(seed), 150)
    base = allocate(value, allowed, capacities, channels=columns, zones=zones)
    for position, one in enumerate(capacities):
        more = list(capacities)
        more[position] = Capacity(one.name, one.cells, one.count + 1, one.kind)
        again = allocate(value, allowed, more, channels=columns, zones=zones)
        assert base.prices[position] == pytest.approx(again.value - base.value, abs=1e-9)
    assert (base.prices[4:] > 0).any() and (base.prices[:4] > 0).any()
    # inside a pool that is full itself a proof may take other prices than what one more adds
    assert (base.duals >= base.prices - 1e-9).all()


def test_hours_that_are_all_alike_leave_the_value_of_a_plan_without_bands():
    # four equal bands of a quarter each: ties everywhere, and the same total as one channel of that many
    random = np.random.default_rng(2)
    value = random.gamma(0.7, 6.0, (2_000, 2)) - 1
    wide = np.column_stack([value[:, :1].repeat(4, axis=1), value[:, 1:]])
    names = ["a", "b", "c", "d", "sms"]
    limits = [Capacity(name, (Cell(name),), 50) for name in names[:4]] + [Capacity("sms", (Cell("sms"),), 300)]
    whole = [Capacity("call", (Cell("call"),), 200), Capacity("sms", (Cell("sms"),), 300)]
    begun = time.perf_counter()
    found = allocate(wide, np.ones(wide.shape, dtype=bool), limits, channels=names)
    assert time.perf_counter() - begun < 3
    best = allocate(value, np.ones(value.shape, dtype=bool), whole, channels=["call", "sms"])
    assert found.value == pytest.approx(best.value) and found.is_optimal


def test_every_contact_lies_in_a_band_and_no_band_is_broken():
    inputs = book(120, seed=2) | {"collectors": team({"daily_capacity": 50}, {"daily_capacity": 20})}
    found = run(inputs, hour_bands=BANDS, exploration_share=0.2)
    rows = local(found)
    for channel, bands in BANDS.items():
        counts = rows.loc[rows["action"] == channel, "band"].value_counts().to_dict()
        assert set(counts) <= set(bands) and all(counts[band] <= bands[band] for band in counts)
        assert sum(counts.values()) >= sum(bands.values()) - 2
    assert set(rows.loc[~rows["action"].isin(BANDS), "band"]) == {"07:00-20:00"}
    prices = found.prices.set_index("capacity_name")
    assert prices.loc["hours:call@08:00-10:00", ["capacity_count", "channels"]].tolist() == [2, '["call"]']
    assert (prices["used_count"] <= prices["capacity_count"]).all()
    # the team could make 70 calls and the bands hold 6: the bands have the price
    assert prices.at["collectors:call", "price_amount"] == 0 < prices.at["hours:call@10:00-13:00", "price_amount"]
    assert found.summary["gap_rate"] < 1e-9 and found.summary["is_optimal"]
    idle = found.decisions[found.decisions["action"] == "none"]
    assert (idle["blocked_by"] != "[]").all()


def test_the_plan_of_the_day_is_that_of_an_exact_solver():
    inputs = book(80, seed=6) | {"collectors": team({"daily_capacity": 50}, {"channels": "visit", "zone": "Loja"})}
    found = run(inputs, hour_bands=BANDS)
    net = found.details.pivot(index="customer_id", columns="channel_code", values="net_amount")[list(COSTS)].to_numpy()
    # who may be called may be called in any band here, so bands of one channel are one number
    calls, texts = (sum(BANDS[name].values()) for name in ("call", "sms"))
    capacities = [Capacity("call", (Cell("call"),), calls), Capacity("sms", (Cell("sms"),), texts)]
    capacities += [Capacity("ivr", (Cell("ivr"),), 5), Capacity("whatsapp", (Cell("whatsapp"),), 10)]
    capacities += [Capacity("visit", (Cell("visit", "loja"),), 4, "pool")]
    zones = found.details["zone"].to_numpy(dtype=object)[:: len(COSTS)]
    exact = best_value(net, np.ones(net.shape, dtype=bool), capacities, list(COSTS), zones)
    assert found.decisions["value_amount"].sum() == pytest.approx(exact)
    assert found.summary["planned_value_amount"] == pytest.approx(exact, abs=0.01)


def test_a_band_is_open_only_where_the_members_own_hours_are():
    # in Los Angeles it is two hours earlier: permitted from 09:00 to 22:00 of Quito, so nothing before ten is theirs
    inputs = book(12, seed=3) | {"collectors": team({"daily_capacity": 50})}
    inputs["customers"].loc[:5, "timezone"] = "America/Los_Angeles"
    inputs["channel_scores"]["gain_amount"] = 9.0
    one = {"call": {"07:00-09:00": 50, "09:00-12:00": 3}}
    found = run(inputs, hour_bands=one, daily_capacity=ONLY_CALLS)
    rows = local(found)
    calls = rows[rows["action"] == "call"]
    west = calls.index <= "m00005"
    assert set(calls.loc[west, "band"]) <= {"09:00-12:00"} and west.sum() == 3
    assert set(calls.loc[~west, "band"]) == {"07:00-09:00"} and (~west).sum() == 6
    early = run(inputs, hour_bands={"call": {"07:00-09:10": 50}}, daily_capacity=ONLY_CALLS | {"email": 0})
    why = early.decisions.set_index("customer_id")["blocked_by"]
    # ten minutes of a band are too few to plan on: what is missing is capacity at their hours
    assert set(why[why.index <= "m00005"]) == {'["capacity"]'} and set(why[why.index > "m00005"]) == {"[]"}


def test_members_are_called_when_people_like_them_are_reached():
    inputs = book(20, seed=4) | {"collectors": team({"daily_capacity": 50})}
    inputs["features"]["occupation"] = ["farmer", "teacher"] * 10
    inputs["channel_scores"]["gain_amount"] = np.where(inputs["channel_scores"]["channel_code"] == "call", 10.0, -1.0)
    table = pd.concat([
        reach("call", {8: 0.4, 9: 0.4, 14: 0.2, 15: 0.2}, "farmer"),
        reach("call", {8: 0.2, 9: 0.2, 14: 0.3, 15: 0.3}, "teacher"),
    ])  # fmt: skip
    both = {"call": {"08:00-10:00": 10, "14:00-16:00": 10}}
    options = {"reach_hours": table, "hour_reach_weight": 0.5, "daily_capacity": ONLY_CALLS}
    rows = local(run(inputs, hour_bands=both, **options))
    farmer = [int(name[1:]) % 2 == 0 for name in rows.index]
    assert rows["band"].tolist() == ["08:00-10:00" if one else "14:00-16:00" for one in farmer]
    assert (rows["expected_gain_amount"] == 10.0).all() and (rows["value_amount"] == 10.0 - 0.45).all()
    # farmers gain more by the morning (4/3 against 2/3 of their mean) than teachers by the afternoon (1.2 against 0.8)
    few = local(run(inputs, hour_bands={"call": {"08:00-10:00": 15, "14:00-16:00": 5}}, **options))
    assert set(few["band"][np.array(farmer)]) == {"08:00-10:00"}
    found = run(inputs, hour_bands={"call": {"08:00-10:00": 4, "14:00-16:00": 20}}, **options)
    assert found.summary["planned_value_amount"] == pytest.approx(20 * 9.55)


@given(st.integers(0, 500))
@example(267)
@settings(max_examples=4, deadline=None)
def test_wide_bands_change_no_action_and_no_probability(seed: int):
    inputs = book(40, seed=seed)
    free = run(inputs, exploration_share=0.2, seed=seed)
    wide = run(inputs, exploration_share=0.2, seed=seed, hour_bands=WIDE)
    # cents make ties: of two plans that are worth the same, either may be taken (seed 267)
    assert wide.summary["planned_value_amount"] == pytest.approx(free.summary["planned_value_amount"])
    if free.summary["is_optimal"] and not free.decisions["action"].equals(wide.decisions["action"]):
        return
    same = ["customer_id", "action", "blocked_by", "value_amount", "is_exploration"]
    pd.testing.assert_frame_equal(free.decisions[same], wide.decisions[same])
    np.testing.assert_allclose(
        free.decisions["propensity"].to_numpy(float), wide.decisions["propensity"].to_numpy(float), rtol=1e-9
    )
    parts = ["greedy_action", "is_chosen", "price_amount", "is_allowed", "net_amount"]
    pd.testing.assert_frame_equal(free.details[parts], wide.details[parts], atol=1e-3)


def test_no_bands_is_what_it_was():
    inputs = book(60)
    before, none = run(inputs, exploration_share=0.1), run(inputs, exploration_share=0.1, hour_bands={"call": {}})
    for name in ("decisions", "details", "prices"):
        pd.testing.assert_frame_equal(getattr(before, name), getattr(none, name))
    assert before.summary == none.summary


def test_bands_hold_beside_owners_a_budget_duties_and_the_ladder():
    inputs = book(90, seed=5) | {"collectors": owned()}
    ruled = rules({"owner": "Andina", "past_due_days": {"min": 60}}, {"owner": "Sur", "past_due_days": {"max": 30}})
    owed = duties({"customer_id": "m00003"}, {"customer_id": "m00007", "is_last_chance": True})
    options = {"hour_bands": BANDS, "owners": ruled, "duties": owed, "exploration_share": 0.1}
    found = run(inputs, daily_budget=20.0, **options)
    assert found.decisions.set_index("customer_id").loc[["m00003", "m00007"], "action"].tolist() == ["call", "call"]
    assert found.summary["gap_rate"] <= 1e-3
    ladder = run(inputs | {"channel_scores": None}, **options)
    for outcome in (found, ladder):
        assert (outcome.prices["used_count"] <= outcome.prices["capacity_count"]).all()
        rows = local(outcome)
        assert set(rows.loc[rows["action"] == "call", "band"]) <= set(BANDS["call"])
        assert rows.loc[rows["action"] == "call", "collector_id"].notna().all()


def test_nobody_of_a_team_gets_all_of_the_evening():
    inputs = book(60, seed=7) | {"collectors": team(*({"daily_capacity": 10} for _ in range(3)))}
    inputs["channel_scores"]["gain_amount"] = 9.0
    bands = {"call": {"08:00-13:00": 21, "17:00-19:00": 9}}
    calls = local(run(inputs, hour_bands=bands, daily_capacity=ONLY_CALLS))
    calls = calls[calls["action"] == "call"]
    assert calls.groupby("collector_id")["band"].value_counts().unstack().loc[:, "17:00-19:00"].tolist() == [3, 3, 3]


def test_the_checker_counts_bands_by_itself():
    inputs = book(60, seed=8) | {"collectors": team({"daily_capacity": 50}), "hour_bands": BANDS}
    found = run(inputs)
    assert judged(found, inputs) == []
    tight = inputs | {"hour_bands": BANDS | {"call": BANDS["call"] | {"10:00-13:00": 2}}}
    assert judged(found, tight) == ["3 contacts by call in 10:00-13:00, 2 can be made"]
    calls = found.decisions["action"] == "call"
    moved = found.decisions.assign(
        window_end=found.decisions["window_end"].where(~calls, found.decisions["window_end"] + pd.Timedelta("5min"))
    )
    assert sum("lie in no band" in one for one in judged(found, inputs, moved)) == calls.sum()


@pytest.mark.parametrize("text", ["8-10", "08:00-08:00", "10:00-08:00", "08:00-24:30", "25:00-26:00", ""])
def test_what_is_no_band_is_refused(text: str):
    with pytest.raises(RuleError, match="no band of hours"):
        minutes_of(text)


def test_bands_may_not_overlap_nor_be_of_a_channel_that_is_not_offered():
    assert in_order({"20:00-24:00": 1, "08:00-10:00": 2}) == [("08:00-10:00", 2), ("20:00-24:00", 1)]
    with pytest.raises(ValueError, match="08:00-10:00 and 09:59-11:00 overlap"):
        ChannelSettings(cost=1, hour_bands={"09:59-11:00": 1, "08:00-10:00": 1})
    with pytest.raises(RuleError, match="not offered: letter"):
        run(book(3), hour_bands={"letter": {"08:00-10:00": 1}})


def test_a_band_outside_everybodys_hours_is_said():
    inputs = book(40, seed=1)
    # Ecuador's hours end at 20:00: of 19:50-21:00 ten minutes are left, fewer than a contact is given
    found = run(inputs, hour_bands={"call": {"08:00-10:00": 5, "19:50-21:00": 7, "22:00-23:00": 50, "23:00-24:00": 0}})
    assert [line["code"] for line in found.summary["warnings"]] == ["idle_band", "idle_band"]
    for line, band, count in zip(found.summary["warnings"], ["19:50-21:00", "22:00-23:00"], ["7", "50"], strict=True):
        for text in (line["text_es"], line["text_en"]):
            assert band in text and f" {count} conta" in text and "channels.call.hour_bands" in text
    assert run(inputs, hour_bands=BANDS).summary["warnings"] == []
    # on a Sunday the channel itself is closed, and its bands are not the reason
    closed = run(inputs, hour_bands={"call": {"22:00-23:00": 50}}, as_of=date(2026, 6, 28))
    assert closed.summary["warnings"] == [] and closed.summary["contact_count"] == 0
