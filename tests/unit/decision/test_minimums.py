"""Duties before everything, a budget in money, and yesterday's list that is left only for a gain."""

from __future__ import annotations

import json
from datetime import date
from typing import Any

import numpy as np
import pandas as pd
import pytest

from puntual.decision.arms import HOLD_OUT
from puntual.decision.duty_alarms import alarm_lines, standing
from tests.unit.decision import worlds
from tests.unit.decision.test_decide import COSTS, LIMITS, TEAM, book, in_arms, run, team

NO_MESSAGES = dict.fromkeys(COSTS, 0) | {"call": None, "visit": None}


def duties(*rows: dict[str, Any]) -> pd.DataFrame:
    default = {
        "rule_id": "DUTY",
        "due_date": date(2026, 6, 17),
        "due_on": date(2026, 7, 2),
        "channels": '["call"]',
        "is_last_chance": False,
    }
    return pd.DataFrame([default | row for row in rows])


def test_duties_are_served_first_and_last_chances_before_them():
    # one call in all: the duty of the worst gain takes it, and of two duties that of the last chance
    inputs = book(30) | {"collectors": team({"daily_capacity": 1})}
    gains = inputs["channel_scores"]
    gains.loc[gains["customer_id"].isin(["m00003", "m00007"]) & (gains["channel_code"] == "call"), "gain_amount"] = -9.0
    owed = duties({"customer_id": "m00003"}, {"customer_id": "m00007", "is_last_chance": True})
    found = run(inputs, daily_capacity=NO_MESSAGES | {"email": None}, duties=owed, exploration_share=0.5)
    rows = found.decisions.set_index("customer_id")
    assert rows.at["m00007", "action"] == "call" and rows.at["m00003", "action"] != "call"
    assert (rows["action"] == "call").sum() == 1
    assert "MINIMUM_DUTY" in rows.at["m00007", "reason_codes"]
    assert rows.at["m00007", "propensity"] == 1.0 and not rows.at["m00007", "is_exploration"]
    counts = {name: value for name, value in found.summary.items() if name.startswith("duty_")}
    assert counts == {
        "duty_owed_count": 2,
        "duty_served_count": 1,
        "duty_last_chance_count": 1,
        "duty_last_chance_missed_count": 0,
        "duty_overdue_count": 0,
        "duty_alarm_count": 0,
    }


def test_a_last_chance_that_the_rules_forbid_is_counted_and_stops_nothing():
    inputs = book(6)
    inputs["customers"].loc[0, "customer_status_code"] = "deceased"
    found = run(inputs, duties=duties({"customer_id": "m00000", "is_last_chance": True}))
    assert found.decisions.set_index("customer_id").at["m00000", "action"] == "none"
    assert found.summary["duty_last_chance_missed_count"] == 1
    assert found.duty_alarms["state_code"].tolist() == ["blocked"]


LAST = {"is_last_chance": True, "due_on": worlds.TUESDAY}


def test_every_duty_has_a_state_and_who_must_hear_of_it_is_named():
    # one call a day and no messages: of the permitted duties one is met
    inputs = book(8) | {"collectors": team({"daily_capacity": 1})}
    # from this status nobody is contacted until it changes; a payment of yesterday rests for two days
    inputs["customers"].loc[[0, 1], "customer_status_code"] = "deceased"
    inputs["payments"] = worlds.payments({"customer_id": "m00005", "paid_date": "2026-06-29"})
    owed = duties(
        {"customer_id": "m00000", **LAST},
        {"customer_id": "m00001"},
        {"customer_id": "m00002", **LAST},
        {"customer_id": "m00003", **LAST},
        {"customer_id": "m00004"},
        {"customer_id": "m00005", "due_on": date(2026, 7, 3)},
        {"customer_id": "gone"},
    )
    late = duties({"customer_id": "m00006", "due_on": date(2026, 6, 29)})
    found = run(inputs, daily_capacity=NO_MESSAGES, duties=owed, overdue=late)
    rows = found.decisions.set_index("customer_id")
    met = [name for name in ("m00002", "m00003") if rows.at[name, "action"] == "call"]
    assert len(met) == 1
    assert json.loads(rows.at[met[0], "duties"]) == [
        {"rule": "DUTY", "due_date": "2026-06-17", "until": "2026-06-30", "state": "met"}
    ]
    assert rows.at["m00007", "duties"] == "[]"
    shown = {name: [one["state"] for one in json.loads(text)] for name, text in rows["duties"].items()}
    alarms = found.duty_alarms.set_index("customer_id")
    assert {name: (row.state_code, row.severity) for name, row in alarms.iterrows()} == {
        "m00000": ("blocked", "alarm"),
        "m00001": ("blocked", "alarm"),
        ({"m00002", "m00003"} - set(met)).pop(): ("no_capacity", "alarm"),
        "m00004": ("no_capacity", "warning"),
        "m00005": ("blocked", "warning"),
        "m00006": ("overdue", "alarm"),
        "gone": ("blocked", "alarm"),
    }
    assert all(shown[name] == [alarms.at[name, "state_code"]] for name in alarms.index if name != "gone")
    assert json.loads(alarms.at["m00005", "blocked_by"]) == ["INST-DEFAULT/recent_payment"]
    assert "PERSON-STATUS/deceased" in alarms.at["m00000", "blocked_by"]
    assert found.summary["duty_alarm_count"] == 5 and found.summary["duty_overdue_count"] == 1
    lines = alarm_lines(found.duty_alarms)
    assert [(line["state_code"], line["severity"], line["member_count"]) for line in lines] == [
        ("overdue", "alarm", 1),
        ("blocked", "alarm", 3),
        ("no_capacity", "alarm", 1),
        ("blocked", "warning", 1),
        ("no_capacity", "warning", 1),
    ]
    assert "DUTY" in lines[1]["text_es"] and "gone, m00000, m00001" in lines[1]["text_es"]
    assert lines[1]["first_due_date"] == "2026-06-17"


def test_the_source_of_a_duty_is_that_of_its_rule():
    as_of = date(2026, 6, 16)
    found = standing(
        duties({"rule_id": "CL-21320/first_notice", "customer_id": "ana"}),
        None,
        actions=pd.Series({"ana": "none"}),
        is_held=pd.Series({"ana": False}),
        zones=pd.Series({"ana": None}, dtype=object),
        verdicts=worlds.judge(rules=worlds.policies("CL", as_of), as_of=as_of).reset_index(),
        policies=worlds.policies("CL", as_of),
        as_of=as_of,
        timezone="America/Santiago",
    )
    assert json.loads(found["sources"][0]) == ["S2-69", "S2-70", "S2-5", "S2-71"]
    assert found["state_code"].tolist() == ["no_capacity"]


def test_the_held_out_are_served_on_the_last_day_only():
    names = book(6)["features"]["customer_id"].tolist()
    arms = in_arms(*((name, HOLD_OUT) for name in names), held=0.5)
    owed = duties({"customer_id": "m00001"}, {"customer_id": "m00002", "is_last_chance": True})
    rows = run(book(6), arms=arms, duties=owed).decisions.set_index("customer_id")
    assert rows.at["m00001", "action"] == "none" and rows.at["m00002", "action"] == "call"
    assert [json.loads(rows.at[name, "duties"])[0]["state"] for name in ("m00001", "m00002")] == ["held_out", "met"]
    assert np.isnan(rows.at["m00002", "propensity"]) and rows.at["m00002", "blocked_by"] == "[]"


def test_the_day_stays_within_its_budget_and_near_the_best_under_it():
    inputs = book(300, seed=5) | {
        "collectors": team({"daily_capacity": 300}, {"channels": "visit", "daily_capacity": 300})
    }
    rich = run(inputs, exploration_share=0.1)
    assert rich.decisions["contact_cost_amount"].sum() > 60
    for share in (0.0, 0.1):
        poor = run(inputs, exploration_share=share, daily_budget=60.0)
        assert poor.decisions["contact_cost_amount"].sum() <= 60.0
        assert poor.summary["gap_rate"] <= 1e-3
        row = poor.prices.set_index("capacity_name").loc["budget:day"]
        assert row["capacity_count"] == 60 and row["used_count"] <= 60
        # one more in money brings more than it costs
        assert row["price_amount"] > 0


def test_a_budget_that_does_not_bind_changes_nothing_and_keeps_the_proof():
    inputs = book(200)
    free, loose = run(inputs, exploration_share=0.1), run(inputs, exploration_share=0.1, daily_budget=1e6)
    pd.testing.assert_frame_equal(free.decisions, loose.decisions)
    assert loose.summary["is_optimal"] and loose.prices["price_amount"].iloc[-1] == 0.0


def before(outcome: Any) -> pd.DataFrame:
    return outcome.decisions[["customer_id", "action"]].assign(as_of_date=date(2026, 6, 29))


def test_yesterdays_choice_is_left_only_for_a_gain_above_the_threshold():
    inputs = book(150, seed=8)
    first = run(inputs)
    noise = np.random.default_rng(1).normal(0, 3.0, len(inputs["channel_scores"]))
    moved = inputs | {"channel_scores": inputs["channel_scores"].assign(gain_amount=lambda x: x["gain_amount"] + noise)}
    same = first.decisions["action"].to_numpy()

    def changes(amount: float) -> tuple[int, float]:
        found = run(moved, earlier=before(first), stay_amount=amount)
        value = found.decisions["value_amount"].sum()
        assert found.summary["planned_value_amount"] == pytest.approx(value, abs=0.01)
        kept = (found.decisions["action"].to_numpy() == same) & (same != "none")
        assert found.summary["kept_from_before_count"] == kept.sum()
        assert kept.sum() + found.summary["left_from_before_count"] == (same != "none").sum()
        return int((found.decisions["action"].to_numpy() != same).sum()), value

    off, little, much = changes(0.0), changes(1.0), changes(50.0)
    assert off[0] > little[0] > much[0]
    # what is left for stability is at most the threshold for every contact
    assert off[1] >= little[1] >= off[1] - 1.0 * (same != "none").sum()
    assert run(moved).decisions["value_amount"].sum() == pytest.approx(off[1])


def test_what_was_carried_out_is_not_kept():
    inputs = book(40)
    first = run(inputs)
    chosen = first.decisions[first.decisions["action"] != "none"].iloc[0]
    done = worlds.events(
        {
            "customer_id": chosen["customer_id"],
            "channel_code": chosen["action"],
            "occurred_at": worlds.at("2026-06-29 10:00"),
        }
    )
    kept = run(inputs, earlier=before(first), stay_amount=1.0).summary
    after = run(inputs | {"interactions": done}, earlier=before(first), stay_amount=1.0).summary
    both = ("kept_from_before_count", "left_from_before_count")
    assert sum(after[name] for name in both) == sum(kept[name] for name in both) - 1


def test_duties_keep_the_capacities_and_the_probabilities_of_the_others():
    inputs = book(120, seed=3) | {"collectors": TEAM}
    names = inputs["features"]["customer_id"].tolist()
    owed = duties(*({"customer_id": name, "channels": '["call", "visit", "sms"]'} for name in names[:20]))
    found = run(inputs, exploration_share=0.2, duties=owed)
    assert (found.prices["used_count"] <= found.prices["capacity_count"]).all()
    rows = found.decisions.set_index("customer_id")
    assert found.summary["duty_served_count"] == rows.loc[names[:20], "action"].isin(["call", "visit", "sms"]).sum() > 0
    others = rows.drop(names[:20])
    assert others["propensity"].dropna().between(0, 1).all() and others["is_exploration"].any()
    assert LIMITS["sms"] == 10
