"""The whole decision on small books: capacities, exploration and its probabilities, why not, and the checker."""

from __future__ import annotations

import json
from datetime import date
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from puntual.decision.arms import Arms
from puntual.decision.checker import check
from puntual.decision.decide import DecisionOutcome, decide
from puntual.decision.explore import Exploration
from puntual.decision.facts import ContactFacts
from puntual.decision.holiday_calendar import HolidayCalendar
from puntual.decision.plan import propensity_of
from puntual.decision.policies import Ladder, LadderStep, load_ladder
from puntual.decision.scores import ladder_worth
from puntual.decision.tables import DECISION_COLUMNS, DETAIL_COLUMNS, PRICE_COLUMNS
from puntual.errors import RuleError
from tests.unit.decision import worlds
from tests.unit.decision.worlds import POLICIES, QUITO, TUESDAY, at

TEMPLATE_COLUMNS = ["channel_code", "template_id", "status_code", "quality_code"]
COSTS = {"call": 0.45, "ivr": 0.04, "whatsapp": 0.06, "sms": 0.03, "email": 0.004, "visit": 4.5}
LIMITS = {"call": None, "ivr": 5, "whatsapp": 10, "sms": 10, "email": None, "visit": None}
ZONES = ["Loja", "Manabí", "Quito"]


def team(*rows: dict[str, Any]) -> pd.DataFrame:
    default = {
        "full_name": "Gestor",
        "channels": "call",
        "zone": None,
        "languages": None,
        "daily_capacity": 4,
        "team": "field",
        "active_from": pd.NaT,
        "active_to": pd.NaT,
    }
    frame = pd.DataFrame([default | {"collector_id": f"g{number}"} | row for number, row in enumerate(rows)])
    return frame.astype({"zone": object, "languages": object})


TEAM = team(
    {},
    {"zone": "LOJA", "channels": "visit", "daily_capacity": 2},
    {"zone": "Manabi", "channels": "call, visit", "daily_capacity": 3},
    {"active_to": pd.Timestamp("2026-06-29")},
    {"daily_capacity": None},
)


def book(size: int, seed: int = 1) -> dict[str, Any]:
    """Members with every contact point and random gains."""
    random = np.random.default_rng(seed)
    names = [f"m{number:05d}" for number in range(size)]
    features = pd.DataFrame(
        {
            "customer_id": names,
            "loan_id": [f"l{number:05d}" for number in range(size)],
            "is_eligible": True,
            "arrears_amount": random.gamma(1.0, 80.0, size).round(2),
            "collectable_amount": random.gamma(2.0, 80.0, size).round(2) + 5,
            "past_due_days": random.integers(0, 120, size),
            "outstanding_principal_amount": 500.0,
            "active_loan_count": 1 + np.arange(size) % 2,
            "broken_promise_count_182d": random.integers(0, 2, size),
            "days_since_last_contact": np.where(random.random(size) < 0.5, np.nan, 5.0),
        }
    )
    customers = pd.DataFrame(
        {
            "customer_id": names,
            "customer_status_code": "active",
            "timezone": None,
            "province": random.choice(ZONES, size),
            "language_code": None,
        }
    ).astype(object)
    kinds = ["mobile", "email", "address"]
    points = worlds.points(
        *(
            {"contact_point_id": f"{n}-{k}", "customer_id": n, "kind_code": k, "has_whatsapp": True}
            for n in names
            for k in kinds
        )
    )
    scores = pd.DataFrame(
        {
            "customer_id": np.repeat(names, len(COSTS)),
            "channel_code": list(COSTS) * size,
            "gain_amount": random.normal(3.0, 6.0, size * len(COSTS)).round(2),
            "reach_probability": 0.5,
            "is_supported": True,
        }
    )
    return {
        "features": features,
        "customers": customers,
        "contact_points": points,
        "interactions": worlds.events(),
        "promises": worlds.promises(),
        "payments": worlds.payments(),
        "collectors": TEAM,
        "channel_scores": scores,
    }


def run(inputs: dict[str, Any], **options: Any) -> DecisionOutcome:
    settings = {
        "default_risk": None,
        "policies": worlds.policies(),
        "ladder": load_ladder(POLICIES),
        "holidays": worlds.calendar(),
        "costs": COSTS,
        "daily_capacity": LIMITS,
        "as_of": TUESDAY,
        "timezone": QUITO,
        "exploration_share": 0.0,
    }
    return decide(**(settings | inputs | options))


def judged(outcome: DecisionOutcome, inputs: dict[str, Any], decisions: pd.DataFrame | None = None) -> list[str]:
    contacts = outcome.details[outcome.details["is_chosen"]]
    given: dict[str, Any] = {
        "policy_files": worlds.policies().files,
        "holidays": worlds.calendar(),
        "daily_capacity": LIMITS,
        "country": "EC",
        "currency": "USD",
        "timezone": QUITO,
        "reading": "strict_default",
        "as_of": TUESDAY,
        "contact_point_ids": dict(zip(contacts["customer_id"], contacts["contact_point_id"], strict=True)),
    }
    given |= {name: inputs[name] for name in inputs if name != "channel_scores"}
    return check(outcome.decisions if decisions is None else decisions, **given)


@pytest.fixture(scope="module")
def inputs() -> dict[str, Any]:
    return book(200)


def test_a_year_without_known_holidays_is_named_in_the_warnings_of_its_day():
    inputs = book(5)
    local = pd.DataFrame({"country": ["EC"], "date": [pd.Timestamp(2026, 11, 3)]})
    unknown = HolidayCalendar(frozenset(), frozenset({2025})).with_frame(local, "EC")
    found = run(inputs, holidays=unknown)
    assert found.summary["contact_count"] == 0
    (line,) = found.summary["warnings"]
    assert line["code"] == "unknown_holidays" and "EC-BASE/hours" in line["text_en"]
    for text in (line["text_es"], line["text_en"]):
        assert "2026" in text and "1 " in text and "7" in text
    assert run(inputs).summary["warnings"] == []


@pytest.fixture(scope="module")
def outcome(inputs: dict[str, Any]) -> DecisionOutcome:
    return run(inputs, exploration_share=0.1)


def test_frames_have_their_columns_and_one_row_per_member(outcome: DecisionOutcome):
    assert tuple(outcome.decisions.columns) == DECISION_COLUMNS
    assert tuple(outcome.details.columns) == DETAIL_COLUMNS
    assert tuple(outcome.prices.columns) == PRICE_COLUMNS
    assert outcome.decisions["customer_id"].is_unique and len(outcome.decisions) == 200
    assert len(outcome.details) == 200 * len(COSTS)
    assert outcome.decisions["as_of_date"].eq(TUESDAY).all()


def test_nobody_who_is_not_eligible_is_decided(inputs: dict[str, Any]):
    features = inputs["features"].assign(is_eligible=[number % 2 == 0 for number in range(200)])
    assert len(run(inputs | {"features": features}).decisions) == 100


def test_the_checker_finds_nothing(outcome: DecisionOutcome, inputs: dict[str, Any]):
    assert judged(outcome, inputs) == []


def test_the_same_inputs_in_another_order_give_the_same_decisions(inputs: dict[str, Any], outcome: DecisionOutcome):
    shuffled = {name: frame.sample(frac=1, random_state=3) for name, frame in inputs.items()}
    again = run(shuffled, exploration_share=0.1)
    pd.testing.assert_frame_equal(outcome.decisions, again.decisions)
    pd.testing.assert_frame_equal(outcome.details, again.details)


def test_capacities_come_from_who_is_at_work_and_are_kept(outcome: DecisionOutcome):
    prices = outcome.prices.set_index("capacity_name")
    # g0 calls 4, g2 calls or visits 3 in Manabí; g3 has left, g4 has no capacity
    assert prices["capacity_count"].to_dict() == {
        "collectors:call": 4,
        "collectors:call+visit@manabi": 3,
        "collectors:visit@loja": 2,
        "messages:ivr": 5,
        "messages:whatsapp": 10,
        "messages:sms": 10,
    }
    assert (prices["used_count"] <= prices["capacity_count"]).all()
    load = outcome.decisions.groupby("collector_id").size()
    assert set(load.index) <= {"g0", "g1", "g2"} and load.max() <= 4


def test_ranks_are_whole_and_by_net_value_within_each_list(outcome: DecisionOutcome):
    contacts = outcome.decisions[outcome.decisions["action"] != "none"]
    owner = contacts["collector_id"].fillna(contacts["action"])
    for _, group in contacts.groupby(owner):
        ordered = group.sort_values("rank")
        assert ordered["rank"].tolist() == list(range(1, len(group) + 1))
        net = ordered["expected_gain_amount"] - ordered["contact_cost_amount"]
        assert net.is_monotonic_decreasing


def test_value_is_gain_less_cost_and_the_bound_is_reached(inputs: dict[str, Any]):
    found = run(inputs)
    contacts = found.decisions[found.decisions["action"] != "none"]
    net = (contacts["expected_gain_amount"] - contacts["contact_cost_amount"]).sum()
    assert found.summary["planned_value_amount"] == pytest.approx(net, abs=0.01)
    assert found.summary["gap_rate"] < 1e-9
    assert (contacts["expected_gain_amount"] > contacts["contact_cost_amount"]).all()


def test_the_probability_of_each_row_is_the_mixture_of_plan_and_draw(outcome: DecisionOutcome):
    share = 0.1
    wide = outcome.details.set_index("customer_id")
    draw = wide.groupby(level=0)["explore_probability"].sum()
    assert (draw <= 1 + 1e-12).all()
    for row in outcome.decisions.itertuples():
        mine = wide.loc[row.customer_id]
        greedy = mine.loc[mine["greedy_action"], "channel_code"].tolist() or ["none"]
        chance = {
            **dict(zip(mine["channel_code"], mine["explore_probability"], strict=True)),
            "none": 1 - draw[row.customer_id],
        }
        # over all actions the probabilities sum to one
        total = sum((1 - share) * (name == greedy[0]) + share * p for name, p in chance.items())
        assert total == pytest.approx(1.0)
        expected = (1 - share) * (row.action == greedy[0]) + share * chance[row.action]
        assert row.propensity == pytest.approx(expected)
        if not row.is_exploration:
            assert row.action == greedy[0]


def test_draws_follow_their_probabilities_and_leave_most_of_each_capacity_alone():
    inputs = book(6_000, seed=9) | {
        "collectors": team({"daily_capacity": 300}, {"channels": "visit", "daily_capacity": 40, "zone": "Loja"})
    }
    found = run(inputs, exploration_share=0.2, daily_capacity={**LIMITS, "sms": 200, "whatsapp": None})
    explored = found.decisions[found.decisions["is_exploration"]]
    # 6 000 members at 20 %: 1 200, three standard deviations are 93
    assert abs(len(explored) - 1200) < 93
    expected = found.details.groupby("channel_code")["explore_probability"].sum() * 0.2
    counts = explored["action"].value_counts()
    for channel, mean in expected.items():
        assert abs(counts.get(channel, 0) - mean) < 4 * np.sqrt(mean) + 1
    prices = found.prices.set_index("capacity_name")["capacity_count"]
    assert expected["sms"] <= 0.4 * prices["messages:sms"] + 1e-9
    assert expected["visit"] <= 0.4 * prices["collectors:visit@loja"] + 1e-9


def test_a_draw_that_meets_a_full_capacity_is_no_evidence():
    inputs = book(300, seed=4) | {"collectors": team({"daily_capacity": 1})}
    limits = dict.fromkeys(COSTS, 1)
    seen = 0
    for seed in range(12):
        found = run(inputs, exploration_share=0.9, daily_capacity=limits, seed=seed)
        over = found.decisions[found.decisions["blocked_by"] == '["exploration_overflow"]']
        seen += len(over)
        assert over["propensity"].isna().all() and (over["action"] == "none").all()
        # beside them at most a tie, where what the plan would have chosen is not certain
        assert len(over) <= found.summary["propensity_unknown_count"] <= len(over) + 1
        assert found.decisions["propensity"].isna().sum() == found.summary["propensity_unknown_count"]
        assert (found.prices["used_count"] <= found.prices["capacity_count"]).all()
        assert found.summary["exploration_overflow_count"] == len(over)
    assert seen > 0


def test_why_nothing_was_chosen_is_said(inputs: dict[str, Any]):
    few = book(6)
    gains = few["channel_scores"].assign(gain_amount=5.0)
    few["customers"].loc[0, "customer_status_code"] = "deceased"
    gains.loc[gains["customer_id"] == "m00001", "gain_amount"] = -1.0
    gains.loc[gains["customer_id"] == "m00002", "is_supported"] = False
    gains.loc[gains["customer_id"].isin(["m00003", "m00004"]), "gain_amount"] = 1.0
    none = dict.fromkeys(COSTS, 0) | {"sms": 1}
    found = run(few | {"channel_scores": gains, "collectors": TEAM.iloc[:0]}, daily_capacity=none)
    why = found.decisions.set_index("customer_id")["blocked_by"].map(json.loads).to_dict()
    assert why["m00000"] == ["PERSON-STATUS/deceased"]
    assert why["m00001"] == ["no_positive_value"]
    assert why["m00002"] == ["no_support"]
    assert why["m00003"] == ["capacity"]
    assert why["m00005"] == []
    assert found.decisions.set_index("customer_id").at["m00005", "action"] == "sms"


def test_without_a_channel_model_the_ladder_decides_and_no_money_is_claimed(inputs: dict[str, Any]):
    found = run(inputs | {"channel_scores": None})
    assert found.summary["value_basis"] == "ladder" and "ladder" in found.summary["value_note"]
    assert found.summary["expected_recovery_amount"] is None and found.summary["gap_rate"] is None
    assert found.decisions["expected_gain_amount"].isna().all()
    assert found.prices["price_amount"].isna().all()
    steps = load_ladder(POLICIES).steps
    for row in found.decisions[found.decisions["action"] != "none"].itertuples():
        step = next(
            s
            for s in steps
            if s.min_days <= row.past_due_days and (s.max_days is None or row.past_due_days <= s.max_days)
        )
        assert row.action in step.channels
    assert judged(found, inputs) == []


def test_the_ladder_puts_the_later_member_first_then_the_larger_amount_and_each_next_channel_lower():
    steps = (
        LadderStep(min_days=0, max_days=30, channels=("sms",)),
        LadderStep(min_days=31, max_days=None, channels=("visit", "call")),
    )
    people = pd.DataFrame({"past_due_days": [5, 40, 40], "collectable_amount": [900.0, 10.0, 20.0]})
    worth = ladder_worth(people, Ladder(id="x", version=1, steps=steps), ["call", "sms", "visit"])
    # precedence 2, 1.5, 1: 40 days and 20, 40 days and 10, 5 days; the second channel of a step counts 0.8 of it
    expected = [[np.nan, 1.0, np.nan], [1.2, np.nan, 1.5], [1.6, np.nan, 2.0]]
    np.testing.assert_allclose(worth, expected)


def test_a_book_without_contact_points_or_collectors_is_decided_and_blocked():
    inputs = book(5)
    found = run(inputs | {"contact_points": worlds.points(), "collectors": TEAM.iloc[:0], "channel_scores": None})
    assert (found.decisions["action"] == "none").all()
    assert set(found.decisions["blocked_by"]) == {'["CONTACT-POINTS/available"]'}


def test_an_empty_book_gives_empty_frames():
    inputs = book(1)
    found = run(inputs | {"features": inputs["features"].iloc[:0]}, exploration_share=0.1)
    assert found.decisions.empty and tuple(found.decisions.columns) == DECISION_COLUMNS
    assert found.summary["contact_count"] == 0
    # a promise of somebody who owes nothing today is nobody's in this book
    promised = worlds.promises({"customer_id": "m00000", "due_date": at("2026-07-05 00:00")})
    assert run(inputs | {"features": inputs["features"].iloc[:0], "promises": promised}).decisions.empty


def test_reasons_of_the_decision_come_before_those_of_the_risk(inputs: dict[str, Any]):
    risk = pd.DataFrame(
        {
            "loan_id": inputs["features"]["loan_id"],
            "default_probability": 0.25,
            "reason_codes": '["LATE_RECORD","PAYING_LESS"]',
        }
    )
    found = run(inputs, default_risk=risk)
    contacts = found.decisions[found.decisions["action"] != "none"]
    reasons = contacts["reason_codes"].map(json.loads)
    assert reasons.map(lambda codes: codes[0].startswith(("HIGH_GAIN_", "BEST_CHANNEL"))).all()
    assert reasons.map(lambda codes: "LATE_RECORD" in codes or len(codes) == 6).all()
    assert (found.decisions["default_probability"] == 0.25).all()


def test_the_worst_loan_of_a_member_gives_probability_and_reasons(inputs: dict[str, Any]):
    features = inputs["features"]
    main = features[["customer_id", "loan_id"]].assign(default_probability=0.25, reason_codes='["PAYING_LESS"]')
    other = main.head(20).assign(
        loan_id=[f"x{number}" for number in range(20)],
        default_probability=np.where(np.arange(20) < 10, 0.75, 0.1),
        reason_codes='["LATE_RECORD"]',
    )
    risk = pd.concat([main, other]).sample(frac=1, random_state=5)
    found = run(inputs, default_risk=risk).decisions
    assert found["default_probability"].tolist() == [0.75] * 10 + [0.25] * 190
    assert found["loan_id"].tolist() == features["loan_id"].tolist()
    told = found["reason_codes"].map(json.loads)
    assert not told.head(10).map(lambda codes: "PAYING_LESS" in codes).any()
    assert not told.tail(190).map(lambda codes: "LATE_RECORD" in codes).any()
    # without the owner of each loan, the main one counts
    alone = run(inputs, default_risk=risk.drop(columns="customer_id")).decisions
    assert (alone["default_probability"] == 0.25).all()


def test_members_twice_or_unknown_are_refused(inputs: dict[str, Any]):
    twice = pd.concat([inputs["features"], inputs["features"].iloc[:1]])
    with pytest.raises(RuleError, match="twice"):
        run(inputs | {"features": twice})
    with pytest.raises(RuleError, match="not in dim_customers"):
        run(inputs | {"customers": inputs["customers"].iloc[1:]})


def test_who_took_the_open_promise_keeps_the_member():
    inputs = book(8)
    scores = inputs["channel_scores"]
    scores["gain_amount"] = np.where(scores["channel_code"] == "call", 10.0, -1.0)
    inputs["collectors"] = team({}, {}, {})
    inputs["interactions"] = worlds.events(
        {
            "customer_id": "m00003",
            "occurred_at": at("2026-06-01 10:00"),
            "outcome_code": "right_party",
            "collector_id": "g2",
        },
        {
            "customer_id": "m00004",
            "occurred_at": at("2026-06-01 10:00"),
            "outcome_code": "no_answer",
            "collector_id": "g2",
        },
    )
    found = run(inputs).decisions.set_index("customer_id")
    assert found.at["m00003", "collector_id"] == "g2"
    assert "KNOWS_COLLECTOR" in found.at["m00003", "reason_codes"]
    assert found["collector_id"].value_counts().max() <= 4


# ---------------------------------------------------------------- mutations that the checker must catch


def contacts_of(decisions: pd.DataFrame, action: str) -> pd.Index:
    return decisions.index[decisions["action"] == action]


def mutate_duplicate(decisions: pd.DataFrame) -> pd.DataFrame:
    return pd.concat([decisions, decisions.iloc[:1]])


def mutate_late_hours(decisions: pd.DataFrame) -> pd.DataFrame:
    row = contacts_of(decisions, "sms")[0]
    decisions.loc[row, "window_end"] = pd.Timestamp("2026-07-01 02:00")
    return decisions


def mutate_tomorrow(decisions: pd.DataFrame) -> pd.DataFrame:
    row = contacts_of(decisions, "sms")[0]
    decisions.loc[row, ["window_start", "window_end"]] += pd.Timedelta(days=1)
    return decisions


def mutate_overload(decisions: pd.DataFrame) -> pd.DataFrame:
    decisions.loc[decisions["collector_id"].notna(), "collector_id"] = "g1"
    return decisions


def mutate_absent_collector(decisions: pd.DataFrame) -> pd.DataFrame:
    decisions.loc[contacts_of(decisions, "call")[0], "collector_id"] = "g3"
    return decisions


def mutate_nobody(decisions: pd.DataFrame) -> pd.DataFrame:
    decisions.loc[contacts_of(decisions, "call")[0], "collector_id"] = None
    return decisions


def mutate_flood(decisions: pd.DataFrame) -> pd.DataFrame:
    decisions.loc[contacts_of(decisions, "email"), "action"] = "ivr"
    return decisions


@pytest.mark.parametrize(
    ("mutation", "words"),
    [
        (mutate_duplicate, "has 2 decisions"),
        (mutate_late_hours, "EC-BASE/hours"),
        (mutate_tomorrow, "are not on 2026-06-30"),
        (mutate_overload, "capacity for 2"),
        (mutate_absent_collector, "not at work"),
        (mutate_nobody, "no known collector"),
        (mutate_flood, "5 a day are allowed"),
    ],
)
def test_the_checker_catches_a_mutated_list(mutation, words: str, outcome: DecisionOutcome, inputs: dict[str, Any]):
    found = judged(outcome, inputs, mutation(outcome.decisions.copy()))
    assert any(words in text for text in found), found[:5]


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({"interactions": {"occurred_at": at("2026-06-30 08:00")}}, "EC-BASE/one_a_day"),
        (
            {"interactions": {"occurred_at": at("2026-06-29 08:00"), "outcome_code": "refusal"}},
            "INST-DEFAULT/recent_conversation",
        ),
        (
            {"interactions": {"occurred_at": at("2026-06-20 08:00"), "outcome_code": "complaint"}},
            "INST-DEFAULT/recent_complaint",
        ),
        ({"promises": {"due_date": "2026-06-29"}}, "INST-DEFAULT/open_promise"),
        ({"payments": {"paid_date": "2026-06-29"}}, "INST-DEFAULT/recent_payment"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_the_checker_reads_the_raw_events_and_not_the_verdicts(
    change, rule: str, outcome: DecisionOutcome, inputs: dict[str, Any]
):
    who = outcome.decisions.loc[contacts_of(outcome.decisions, "sms")[0], "customer_id"]
    builders = {"interactions": worlds.events, "promises": worlds.promises, "payments": worlds.payments}
    news = {name: builders[name]({"customer_id": who, **fact}) for name, fact in change.items()}
    found = judged(outcome, inputs | news)
    assert found and all(text.startswith(f"{who} by sms breaks {rule}") for text in found)


def test_a_list_of_another_day_is_found(outcome: DecisionOutcome, inputs: dict[str, Any]):
    kept = {name: inputs[name] for name in inputs if name != "channel_scores"} | {
        "policy_files": worlds.policies().files,
        "holidays": worlds.calendar(),
        "daily_capacity": LIMITS,
        "country": "EC",
        "currency": "USD",
        "timezone": QUITO,
        "reading": "strict_default",
    }
    assert check(outcome.decisions, **kept, as_of=TUESDAY) == []
    # on the next day the hours of the list are those of another day
    assert len(check(outcome.decisions, **kept, as_of=date(2026, 7, 1))) >= outcome.summary["contact_count"]


def in_arms(*rows: tuple[str, str], held: float = 0.2, ladder: float = 0.3) -> pd.DataFrame:
    """Members of one experiment with arms product, ladder and hold_out."""
    frame = pd.DataFrame(rows, columns=["customer_id", "policy"])
    return frame.assign(
        experiment_id="e1", arm_code=frame["policy"], ladder_probability=ladder, hold_out_probability=held
    )


def test_a_hold_out_gets_no_contact_and_the_reason_says_so():
    inputs = book(60)
    names = inputs["features"]["customer_id"].tolist()
    inputs["customers"].loc[1, "customer_status_code"] = "deceased"
    arms = in_arms(*((name, "hold_out") for name in names[:20]), ladder=0.0)
    outcome = run(inputs, arms=arms, exploration_share=0.3)
    rows = outcome.decisions.set_index("customer_id")
    held = rows.loc[names[:20]]
    assert set(held["action"]) == {"none"} and not held["is_exploration"].any()
    assert json.loads(held["blocked_by"].iloc[0]) == ["experiment:e1:hold_out"]
    assert json.loads(held["blocked_by"].iloc[1])[-1] == "experiment:e1:hold_out"
    assert any(rule.startswith("PERSON-STATUS/") for rule in json.loads(held["blocked_by"].iloc[1]))
    assert set(held["arm_code"]) == {"hold_out"} and set(held["experiment_id"]) == {"e1"}
    others = rows.loc[names[20:]]
    assert others["experiment_id"].isna().all() and (others["action"] != "none").any()
    assert "hold_out" not in "".join(others["blocked_by"])
    assert outcome.summary["held_out_count"] == 20
    assert judged(outcome, inputs) == []


def test_the_propensity_of_a_member_alone_counts_every_draw():
    """One member, no scarcity: product calls (gain 10), the ladder sends a whatsapp (first step of day 5), by hand."""
    inputs = book(1)
    inputs["features"] = inputs["features"].assign(past_due_days=5)
    gains = {"call": 10.0, "ivr": 1.0, "whatsapp": 2.0, "sms": 1.0, "email": 1.0, "visit": 4.6}
    inputs["channel_scores"]["gain_amount"] = list(gains.values())
    name = inputs["features"]["customer_id"].iloc[0]
    product = run(inputs).decisions["action"].iloc[0]
    steps = run(inputs | {"channel_scores": None}).decisions["action"].iloc[0]
    assert product == "call" and steps not in {"call", "none"}
    for policy, action, wanted in (
        ("puntual", product, 0.5),  # 1 - 0.2 - 0.3
        ("ladder", steps, 0.3),
        ("hold_out", "none", 0.2),
    ):
        row = run(inputs, arms=in_arms((name, policy))).decisions.iloc[0]
        assert (row["action"], row["arm_code"]) == (action, policy)
        assert row["propensity"] == pytest.approx(wanted)


@settings(deadline=None)
@given(
    st.floats(0, 1),
    st.floats(0, 1),
    st.lists(st.floats(0, 1), max_size=3),
    st.lists(st.floats(0, 1), min_size=2, max_size=4),
    st.lists(st.integers(-1, 3), min_size=4, max_size=4),
)
def test_the_propensities_of_all_actions_of_a_member_sum_to_one(share, held, parts, weights, choices):
    actions = len(weights)
    probability = np.array([*weights, 0.01]) / (sum(weights) + 0.01)
    rows = np.arange(-1, actions)  # one row per action that could come out, of the same member
    size = len(rows)
    chances, left = [], 1.0 - held
    for part in parts:
        chances.append(part * left)
        left -= chances[-1]
    arms = Arms(
        np.full(size, "e1", dtype=object),
        np.full(size, "a", dtype=object),
        np.zeros(size, dtype=bool),
        np.full(size, held),
        (None,) * len(parts),
        np.zeros(size, dtype=np.int64),
        np.array(chances).reshape(-1, 1) * np.ones(size),
    )
    exploration = Exploration(np.zeros(size, dtype=bool), rows, np.tile(probability, (size, 1)), np.zeros(size))
    answers = [np.full(size, min(action, actions - 1)) for action in choices[: 1 + len(parts)]]
    chance = propensity_of(rows, answers, exploration, arms, share)
    assert chance.sum() == pytest.approx(1.0) and (chance >= -1e-12).all()


def test_the_ladder_arm_is_served_by_the_ladder_with_its_part_of_the_capacity():
    inputs = book(80, seed=3)
    names = inputs["features"]["customer_id"].tolist()
    arms = in_arms(*((name, "ladder") for name in names[:40]), *((name, "puntual") for name in names[40:]), held=0.0)
    arms["ladder_probability"] = 0.5
    outcome = run(inputs, arms=arms)
    rows = outcome.decisions.set_index("customer_id")
    assert judged(outcome, inputs) == []
    by_ladder, by_product = rows.loc[names[:40]], rows.loc[names[40:]]
    steps = {f"m{number:05d}" for number in range(40)}
    ladder = load_ladder(POLICIES)
    days = inputs["features"].set_index("customer_id")["past_due_days"]
    for name in steps:
        action = rows.loc[name, "action"]
        step = next(
            step for step in ladder.steps if step.min_days <= days[name] and days[name] <= (step.max_days or np.inf)
        )
        assert action == "none" or action in step.channels
    # half of the members are to follow the ladder: at most half of each capacity (ivr 5: 2, whatsapp and sms 10: 5)
    for channel, most in {"ivr": 2, "whatsapp": 5, "sms": 5}.items():
        assert (by_ladder["action"] == channel).sum() <= most
        assert (by_product["action"] == channel).sum() <= LIMITS[channel] - most
    contacted = by_ladder[by_ladder["action"] != "none"]
    assert len(contacted) and all("LADDER_STEP" in codes for codes in contacted["reason_codes"])
    assert not any("LADDER_STEP" in codes for codes in by_product["reason_codes"])
    assert outcome.summary["ladder_arm_count"] == 40


def test_without_a_channel_model_the_product_is_the_ladder_and_the_arms_are_alike():
    inputs = book(40) | {"channel_scores": None}
    names = inputs["features"]["customer_id"].tolist()
    arms = in_arms(*((name, "ladder" if number % 2 else "puntual") for number, name in enumerate(names)), held=0.0)
    with_arms, without = run(inputs, arms=arms).decisions, run(inputs).decisions
    assert with_arms["action"].tolist() == without["action"].tolist()
    assert with_arms["propensity"].tolist() == without["propensity"].tolist()


def test_a_member_with_two_arms_is_refused():
    inputs = book(3)
    with pytest.raises(RuleError, match="two arms"):
        run(inputs, arms=in_arms(("m00000", "hold_out"), ("m00000", "puntual")))


def test_a_birth_date_that_only_some_have_is_unknown_and_one_that_nobody_has_is_said():
    inputs = book(40, seed=3)
    people, mexico = inputs["customers"].assign(timezone="America/Mexico_City"), worlds.policies("MX")
    born = pd.Series(pd.Timestamp("1980-01-01"), index=people.index)
    for name, dates, open_rows in (
        ("some", born.where(people.index % 2 == 0), people.index % 2 == 0),
        ("nobody", pd.Series(pd.NaT, index=people.index), people.index >= 0),
        ("no column", None, people.index >= 0),
        ("a child", born.where(people.index > 0, pd.Timestamp("2015-05-05")), people.index > 0),
    ):
        given = inputs | {"customers": people if dates is None else people.assign(birth_date=dates)}
        found = run(given, policies=mexico)
        allowed = found.details.groupby("customer_id")["is_allowed"].any().reindex(people["customer_id"]).to_numpy()
        assert (allowed == open_rows).all(), name
        shut = found.details[
            ~found.details["customer_id"].map(dict(zip(people["customer_id"], open_rows, strict=True)))
        ]
        assert all("MX-REDECO/of_age" in json.loads(text) for text in shut["blocked_by"])
        assert shut["is_never"].all() == (name == "some" or shut.empty)
        listed = {entry["id"] for entry in found.summary["rules_not_enforced"]}
        assert ("MX-REDECO/of_age" in listed) == (name in {"nobody", "no column"}), name
        assert "PERSON-STATUS/role" in listed
        broken = {
            line.split(" by ")[0]
            for line in judged(run(given), given | {"policy_files": mexico.files, "country": "MX"})
            if "MX-REDECO/of_age" in line
        }
        chosen = run(given).decisions
        assert broken == set(chosen.loc[chosen["action"] != "none", "customer_id"]) & set(shut["customer_id"]), name
    parts = people.assign(party_code=np.where(people.index, None, "guarantor"))
    told = run(inputs | {"customers": parts}, policies=mexico).summary["rules_not_enforced"]
    assert "PERSON-STATUS/role" not in {entry["id"] for entry in told}


def test_what_a_source_tells_of_parties_and_places_is_decided_by_and_leaves_the_obligations():
    inputs = book(40)
    points, people = inputs["contact_points"], inputs["customers"]
    is_address = points["kind_code"].eq("address")
    open_today = {
        "nothing told": (points, {"EC-BASE/role", "EC-BASE/workplace"}),
        "one address not told": (
            points.assign(place_code=pd.Series("home", index=points.index).where(points.index != 2)),
            {"EC-BASE/role", "EC-BASE/workplace"},
        ),
        "every address told": (points.assign(place_code=is_address.map({True: "home", False: None})), {"EC-BASE/role"}),
        "one point whose it is": (
            points.assign(
                party_code=pd.Series(None, index=points.index, dtype=object).where(points.index != 3, "heir")
            ),
            {"EC-BASE/workplace"},
        ),
    }
    for name, (through, expected) in open_today.items():
        found = run(inputs | {"contact_points": through})
        listed = {entry["id"] for entry in found.summary["rules_not_enforced"]}
        assert listed & {"EC-BASE/role", "EC-BASE/workplace"} == expected, name
        assert "EC-BASE/caller_id" in listed
        assert judged(found, inputs | {"contact_points": through}) == []
    kept = ContactFacts(templates=pd.DataFrame([("whatsapp", "t", "approved", None)], columns=TEMPLATE_COLUMNS))
    for facts, open_today in ((None, True), (ContactFacts(), True), (kept, False)):
        listed = {entry["id"] for entry in run(inputs | {"facts": facts}).summary["rules_not_enforced"]}
        assert ("CH-WHATSAPP/approved_template" in listed) == open_today
        assert "CH-WHATSAPP/opt_out_path" in listed
    owes_nothing = people.assign(party_code=np.where(people.index % 2, "heir", None))
    found = run(inputs | {"customers": owes_nothing})
    chosen = found.decisions.loc[found.decisions["action"] != "none", "customer_id"]
    assert len(chosen) and set(chosen) <= set(people.loc[people.index % 2 == 0, "customer_id"])
    assert judged(found, inputs | {"customers": owes_nothing}) == []
    heir = found.decisions.set_index("customer_id").at["m00001", "blocked_by"]
    assert {"CONTACT-POINTS/parties", "EC-BASE/parties"} <= set(json.loads(heir))
