"""A second contact of a day: another channel, after all rules, from what is left, near the joint optimum, judged."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import Bounds, LinearConstraint, milp

from pipelines.steps.decided import decided_columns
from puntual.decision.checker import check
from puntual.decision.decide import DecisionOutcome
from puntual.decision.second import SECOND_COLUMNS, with_second_contacts, with_second_messages
from puntual.settings import DecisionSettings
from tests.unit.decision import worlds
from tests.unit.decision.test_decide import COSTS, LIMITS, book, in_arms, run, team
from tests.unit.decision.test_owners import owned, rules
from tests.unit.decision.test_policies import own
from tests.unit.decision.worlds import QUITO, TUESDAY

ONE_PER_CHANNEL = worlds.policies(reading="alternative_reading")
"""Ecuador read so that the one contact a day is one per channel."""
TALKS = {"INST-DEFAULT/recent_conversation"}
FREE = ONE_PER_CHANNEL.model_copy(
    update={"rules": tuple(entry for entry in ONE_PER_CHANNEL.rules if entry.rule.id not in TALKS)}
)
"""The same without the days of rest after a conversation, which no second contact of the day outlives."""
TWO = {"policies": FREE, "actions_per_person": 2, "second_action_share": 0.3}
TRIED = TWO | {"policies": ONE_PER_CHANNEL, "second_after": "attempted"}
TEAM = team(
    {"daily_capacity": 12}, {"daily_capacity": 9, "channels": "visit"}, {"daily_capacity": 6, "channels": "call,visit"}
)
PEOPLE = ["call", "visit"]


def judged(found: DecisionOutcome, inputs: dict[str, Any], **more: Any) -> list[str]:
    given_points = found.details[found.details["is_chosen"]]
    named = {
        **{name: inputs[name] for name in inputs if name != "channel_scores"},
        "policy_files": ONE_PER_CHANNEL.files,
        "reading": "alternative_reading",
        "second_contacts": found.second_contacts,
        "second_after": "attempted",
        "contact_point_ids": dict(zip(given_points["customer_id"], given_points["contact_point_id"], strict=True)),
    }
    return check(
        found.decisions,
        holidays=worlds.calendar(),
        daily_capacity=LIMITS,
        country="EC",
        currency="USD",
        timezone=QUITO,
        as_of=TUESDAY,
        **(named | more),
    )


def joint(found: DecisionOutcome, share: float, capacities: dict[str, int]) -> float:
    """The best first and second contacts together, by an exact solver; every channel is permitted to everybody."""
    net = found.details.pivot(index="customer_id", columns="channel_code", values="net_amount")[list(COSTS)].to_numpy()
    cost = np.array(list(COSTS.values()))
    second = share * (net + cost) - cost
    size, width = net.shape
    cells = size * width
    row, column = np.divmod(np.arange(cells), width)

    def over(group: np.ndarray, groups: int) -> np.ndarray:
        matrix = np.zeros((groups, cells))
        inside = group >= 0
        matrix[group[inside], np.flatnonzero(inside)] = 1.0
        return matrix

    by_row, by_cell = over(row, size), np.eye(cells)
    is_message = np.array([name not in PEOPLE for name in COSTS])
    messages = over(np.where(is_message[column], row, -1), size)
    of_channel = over(column, width)
    limits = np.array([capacities.get(name, cells) for name in COSTS], dtype=float)
    parts = [
        (np.hstack([by_row, 0 * by_row]), np.ones(size)),
        (np.hstack([-by_row, by_row]), np.zeros(size)),
        (np.hstack([by_cell, by_cell]), np.ones(cells)),
        (np.hstack([messages, messages]), np.ones(size)),
        (np.hstack([of_channel, of_channel]), limits),
    ]
    solved = milp(
        -np.concatenate([net.reshape(-1), second.reshape(-1)]),
        constraints=LinearConstraint(
            np.vstack([one for one, _ in parts]), -np.inf, np.concatenate([b for _, b in parts])
        ),
        integrality=np.ones(2 * cells),
        bounds=Bounds(0, 1),
    )
    return float(-solved.fun)


@given(st.integers(0, 1_000), st.sampled_from([0.1, 0.3, 0.6]))
@settings(max_examples=5, deadline=None)
def test_it_is_as_near_to_the_joint_optimum_as_it_says(seed: int, share: float):
    inputs = book(25, seed=seed) | {
        "collectors": team({"daily_capacity": 12}, {"daily_capacity": 9, "channels": "visit"})
    }
    found = run(inputs, **(TWO | {"second_action_share": share}))
    ours = found.decisions["value_amount"].sum() + found.second_contacts["value_amount"].sum()
    best = joint(found, share, {"call": 12, "visit": 9, "ivr": 5, "whatsapp": 10, "sms": 10})
    assert ours <= best + 1e-6 <= ours + found.summary["second_most_lost_amount"] + 0.02
    assert ours >= 0.95 * best


def test_a_second_contact_is_through_another_channel_and_within_what_is_left():
    inputs = book(60, seed=2) | {"collectors": TEAM}
    found, one = run(inputs, exploration_share=0.2, **TWO), run(inputs, exploration_share=0.2, policies=FREE)
    pd.testing.assert_frame_equal(found.decisions, one.decisions)
    second = found.second_contacts.merge(found.decisions, on="customer_id", suffixes=("", "_first"))
    assert len(second) > 5 and second["customer_id"].is_unique
    assert (second["action"] != second["action_first"]).all()
    assert (second["action"].isin(PEOPLE) | second["action_first"].isin(PEOPLE)).all()
    assert not second["is_exploration_first"].any() and second["propensity"].isna().all()
    net = found.details.set_index(["customer_id", "channel_code"])["net_amount"]
    for row in second.itertuples():
        benefit = net[row.customer_id, row.action] + COSTS[row.action]
        assert row.value_amount == pytest.approx(0.3 * benefit - COSTS[row.action]) and row.value_amount > 0
    assert second["collector_id"].notna().equals(second["action"].isin(PEOPLE))
    listed = pd.concat([found.decisions[found.decisions["action"] != "none"], found.second_contacts])
    assert (found.prices["used_count"] <= found.prices["capacity_count"]).all()
    assert found.prices["used_count"].sum() == (listed["action"] != "email").sum()
    load = listed.groupby("collector_id").size()
    assert load["g0"] <= 12 and load["g1"] <= 9 and load["g2"] <= 6
    assert not listed[listed["collector_id"].notna()].duplicated(["customer_id", "action"]).any()
    for _, rows in listed.groupby(listed["collector_id"].fillna(listed["action"])):
        assert sorted(rows["rank"]) == list(range(1, len(rows) + 1))
    assert judged(found, inputs) == []


def test_the_strictest_rule_wins_over_a_second_contact():
    inputs = book(40, seed=2) | {"collectors": TEAM}
    # as Ecuador is read by default one contact a day is all; of three a week, two made leave one
    assert run(inputs, **(TWO | {"policies": worlds.policies()})).second_contacts.empty
    names = inputs["features"]["customer_id"].tolist()
    past = [
        {"customer_id": name, "occurred_at": worlds.at("2026-06-29 10:00"), "channel_code": "email"} for name in names
    ]
    tired = inputs | {"interactions": worlds.events(*past, *({**one, "channel_code": "ivr"} for one in past))}
    found = run(tired, **TWO)
    assert found.second_contacts.empty and (found.decisions["action"] != "none").any()
    # nobody is called again after a conversation, and a contact that is taken to reach the member is one
    assert run(inputs, **(TWO | {"policies": ONE_PER_CHANNEL})).second_contacts.empty
    tried = run(inputs, **TRIED)
    assert set(tried.second_contacts["action"]) <= set(PEOPLE) and not tried.second_contacts.empty
    assert judged(tried, inputs) == []
    assert any("recent_conversation" in one for one in judged(tried, inputs, second_after="reached"))
    # in Colombia whoever was reached by one channel hears through no other that week
    assert run(
        inputs, **(TWO | {"policies": worlds.policies("CO"), "holidays": worlds.calendar("CO")})
    ).second_contacts.empty


def test_whoever_is_drawn_held_out_or_on_the_ladder_has_one_contact_at_most():
    inputs = book(40, seed=3) | {"collectors": TEAM}
    names = inputs["features"]["customer_id"].tolist()
    arms = in_arms(*((name, "hold_out") for name in names[:10]), *((name, "ladder") for name in names[10:20]))
    found = run(inputs, arms=arms, exploration_share=0.3, **TWO)
    drawn = found.decisions.loc[found.decisions["is_exploration"], "customer_id"]
    assert not set(found.second_contacts["customer_id"]) & ({*names[:20]} | set(drawn))
    assert not found.second_contacts.empty
    assert run(inputs | {"channel_scores": None}, **TWO).second_contacts.empty


def test_bands_owners_and_a_budget_hold_for_both():
    inputs = book(60, seed=5) | {"collectors": owned(daily_capacity=15)}
    bands = {"call": {"08:00-10:00": 12, "10:00-13:00": 40}}
    ruled = rules({"owner": "Andina", "past_due_days": {"min": 60}})
    found = run(inputs, owners=ruled, daily_budget=200.0, hour_bands=bands, **TRIED)
    assert not found.second_contacts.empty
    assert (found.prices["used_count"] <= found.prices["capacity_count"]).all()
    assert found.prices.set_index("capacity_name").at["budget:day", "used_count"] <= 200
    assert judged(found, inputs, hour_bands=bands) == []


def test_the_checker_sees_a_second_contact_that_may_not_be():
    inputs = book(40, seed=2) | {"collectors": TEAM}
    found = run(inputs, **TRIED)
    second = found.second_contacts
    strict = judged(found, inputs, reading="strict_default", policy_files=worlds.policies().files)
    assert sum("EC-BASE/one_a_day" in one for one in strict) == 2 * len(second)
    first = found.decisions.set_index("customer_id")["action"]
    same = second.assign(action=second["customer_id"].map(first))
    assert sum(" beside " in one for one in judged(found, inputs, second_contacts=same)) == len(second)
    twice = pd.concat([second, second.iloc[:1]])
    assert any(
        "has 2 contacts" in one or "two are allowed" in one for one in judged(found, inputs, second_contacts=twice)
    )
    idle = found.decisions.loc[found.decisions["action"] == "none", "customer_id"]
    if len(idle):
        alone = second.iloc[:1].assign(customer_id=idle.iloc[0])
        assert any("without a first" in one for one in judged(found, inputs, second_contacts=alone))


def test_lists_have_both_contacts_and_campaigns_the_message_of_the_two():
    inputs = book(60, seed=2) | {"collectors": TEAM}
    found = run(inputs, **TWO)
    contacts, details = with_second_contacts(found.decisions, found.details, found.second_contacts)
    assert len(contacts) == len(found.decisions) + len(found.second_contacts)
    assert details["is_chosen"].sum() == (contacts["action"] != "none").sum()
    seen = with_second_messages(found.decisions, found.second_contacts)
    messages = found.second_contacts[~found.second_contacts["action"].isin(PEOPLE)]
    both = seen.merge(messages, on="customer_id")
    assert (
        len(messages) > 0 and (both["action_x"] == both["action_y"]).all() and (both["rank_x"] == both["rank_y"]).all()
    )
    others = ~seen["customer_id"].isin(messages["customer_id"])
    pd.testing.assert_frame_equal(seen[others], found.decisions[others])


def test_a_day_on_which_no_second_contact_is_worth_its_cost_has_none():
    inputs = book(20, seed=1) | {"collectors": TEAM}
    inputs["promises"] = worlds.promises({"customer_id": "m00001", "due_date": worlds.at("2026-07-20 00:00")})
    found = run(inputs, **(TWO | {"second_action_share": 0.0}))
    assert found.second_contacts.empty and tuple(found.second_contacts.columns) == SECOND_COLUMNS
    assert found.summary["second_contact_count"] == 0 and found.summary["second_most_lost_amount"] == 0


@pytest.mark.parametrize(
    ("channels", "n"), [(["whatsapp"], 6), (["whatsapp", "sms"], 8), (["call"], 5), (["call", "whatsapp", "sms"], 9)]
)
@pytest.mark.parametrize("has_bands", [False, True])
def test_a_limit_on_members_is_shared_by_its_channels(tmp_path: Path, channels: list[str], n: int, has_bands: bool):
    tier = {"id": "OWN/tier", "kind": "max_users", "channels": channels, "window": "rolling_hours:24", "n": n}
    ruled = worlds.load_policies(worlds.POLICIES, own(tmp_path, tier), "EC", TUESDAY, reading="alternative_reading")
    inputs = book(60, seed=2) | {"collectors": TEAM}
    # two of them were reached the day before, and count
    inputs["interactions"] = worlds.events(
        *(
            {"customer_id": name, "channel_code": channels[0], "occurred_at": worlds.at("2026-06-29 15:00")}
            for name in ("x", "y")
        )
    )
    bands = {"call": {"08:00-10:00": 12, "10:00-13:00": 40}} if has_bands else {}
    found = run(inputs, exploration_share=0.2, hour_bands=bands, **(TRIED | {"policies": ruled}))
    listed = pd.concat([found.decisions["action"], found.second_contacts["action"]])
    assert listed.isin(channels).sum() == n - 2
    price = found.prices.set_index("capacity_name").loc["rule:OWN/tier"]
    assert price["capacity_count"] == price["used_count"] == n - 2 and price["price_amount"] > 0
    assert judged(found, inputs, policy_files=ruled.files, hour_bands=bands) == []


def test_one_contact_a_day_is_the_default():
    assert DecisionSettings().actions_per_person == 1
    assert run(book(20)).second_contacts.empty


def test_they_are_stored_with_the_columns_of_the_decisions():
    stored = decided_columns("decisions.second_contacts")
    of_first = decided_columns("decisions.decisions")
    assert stored == {**of_first, "contact_point_id": "text"}
    assert tuple(stored) == SECOND_COLUMNS == tuple(run(book(8), **TWO).second_contacts.columns)


@pytest.mark.parametrize(
    ("options", "rules_named"),
    [
        (TWO | {"policies": ONE_PER_CHANNEL}, ["INST-DEFAULT/recent_conversation"]),
        (TWO | {"policies": worlds.policies()}, ["EC-BASE/one_a_day"]),
        (TRIED | {"policies": worlds.policies()}, ["EC-BASE/one_a_day"]),
    ],
)
def test_two_contacts_a_day_that_the_rules_forbid_are_said(options: dict[str, Any], rules_named: list[str]):
    found = run(book(30, seed=2) | {"collectors": TEAM}, **options)
    assert found.second_contacts.empty
    (line,) = found.summary["warnings"]
    assert line["code"] == "second_ruled_out" and line["severity"] == "warning"
    for text in (line["text_es"], line["text_en"]):
        assert all(name in text for name in rules_named) and "CONTACT-POINTS" not in text
        assert options.get("second_after", "reached") in text


def test_two_contacts_a_day_that_are_possible_or_not_asked_for_give_no_warning():
    inputs = book(30, seed=2) | {"collectors": TEAM}
    assert run(inputs, **TRIED).summary["warnings"] == [] == run(inputs).summary["warnings"]
    # worth nothing is no rule's doing
    assert run(inputs, **(TRIED | {"second_action_share": 0.0})).summary["warnings"] == []
    (line,) = run(inputs | {"channel_scores": None}, **TWO).summary["warnings"]
    assert line["code"] == "second_without_model"


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("options", [{}, {"second_after": "attempted"}, {"hour_bands": {"call": {"08:00-13:00": 30}}}])
def test_a_call_and_a_visit_of_a_member_are_one_persons(seed: int, options: dict[str, Any]):
    people = TEAM.assign(daily_capacity=[12, 9, 45])
    inputs = book(50, seed=seed) | {"collectors": people}
    # nothing else is open, so that most second contacts are worked by people
    limits = {"daily_capacity": dict.fromkeys(COSTS, 0) | {"call": None, "visit": None, "sms": 6}}
    found = run(inputs, **(TWO | {"second_action_share": 0.9} | options | limits))
    second = found.second_contacts[found.second_contacts["action"].isin(PEOPLE)].set_index("customer_id")
    first = found.decisions.set_index("customer_id").loc[second.index]
    worked = first["collector_id"].notna()
    assert worked.any() and (first.loc[worked, "collector_id"] == second.loc[worked, "collector_id"]).all()
    # only who both calls and visits can have a member twice
    assert set(second.loc[worked, "collector_id"]) == {"g2"}
    load = pd.concat([found.decisions["collector_id"], found.second_contacts["collector_id"]]).value_counts()
    assert (load <= people.set_index("collector_id")["daily_capacity"].reindex(load.index)).all()
    after = options.get("second_after", "reached")
    rows = {"second_after": after, "hour_bands": options.get("hour_bands")}
    assert not [line for line in judged(found, inputs, **rows) if "two lists" in line]
    other = found.second_contacts.copy()
    at = other["customer_id"].isin(second.index[worked])
    other.loc[at, "collector_id"] = other.loc[at, "action"].map({"call": "g0", "visit": "g1"})
    assert [line for line in judged(found, inputs, second_contacts=other, **rows) if "two lists" in line]
