"""Propensities are exact: what the log says is recomputed from it, and what is drawn over many seeds agrees with it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from puntual.decision import plan as planning
from puntual.decision.checker import evidence_problems
from puntual.decision.explore import affordable, explore, worth_trying
from tests.unit.decision.test_decide import COSTS, book, in_arms, judged, run, team
from tests.unit.decision.test_minimums import duties
from tests.unit.decision.worlds import TUESDAY

CHANNELS = list(COSTS)
NO_LIMIT = dict.fromkeys(COSTS)
ROOMY = team({"daily_capacity": 5_000}, {"channels": "visit", "daily_capacity": 5_000})


def recomputed(found, share: float) -> pd.Series:
    """Propensity of every decision out of the published decisions and details alone."""
    details = found.details.assign(
        chance=lambda d: share * d["explore_probability"] + (1 - share) * d["greedy_action"].astype(float)
    )
    by_action = details.pivot(index="customer_id", columns="channel_code", values="chance")
    by_action["none"] = 1.0 - by_action.sum(axis=1)
    place = by_action.columns.get_indexer(found.decisions["action"])
    rows = by_action.index.get_indexer(found.decisions["customer_id"])
    return pd.Series(by_action.to_numpy()[rows, place], index=found.decisions.index)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("most_cost", [None, 1.5])
def test_the_logged_propensity_is_recomputed_from_the_log(seed: int, most_cost: float | None) -> None:
    share = 0.03 + 0.15 * seed
    found = run(book(150, seed=seed), exploration_share=share, exploration_max_cost=most_cost, seed=seed)
    logged = found.decisions["propensity"].astype(float)
    told = logged.notna()
    assert told.sum() > 100
    np.testing.assert_allclose(logged[told], recomputed(found, share)[told], atol=1e-12)
    assert ((logged[told] > 0) & (logged[told] <= 1 + 1e-12)).all()
    # What has no propensity met a full capacity or a tie and is no evidence.
    assert found.decisions.loc[~told, "is_exploration"].all()
    assert (~told).sum() <= found.summary["exploration_overflow_count"] + 1


def with_equal_gains(inputs):
    scores = inputs["channel_scores"]
    gain = scores.groupby("channel_code")["gain_amount"].transform("mean")
    return inputs | {"channel_scores": scores.assign(gain_amount=gain)}


@pytest.mark.parametrize("case", ["budget", "ties", "duty_in_an_experiment"])
def test_a_contact_may_be_without_its_probability_only_where_a_draw_explains_it(case: str) -> None:
    inputs = book(120, seed=2)
    options = {"exploration_share": 0.4, "seed": 2}
    if case == "budget":
        # under a budget in money nobody's other choice is proven
        options |= {"daily_budget": 20.0}
    elif case == "ties":
        inputs = with_equal_gains(inputs)
    else:
        names = inputs["features"]["customer_id"].tolist()
        options = {
            "arms": in_arms(*((name, "puntual") for name in names[:20]), held=0.3),
            "duties": duties(*({"customer_id": name, "is_last_chance": True} for name in names[:4])),
        }
    found = run(inputs, **options)
    contacts = found.decisions[found.decisions["action"] != "none"]
    unknown = contacts[contacts["propensity"].isna()]
    assert len(unknown) > 0 and len(contacts) > len(unknown)
    assert judged(found, inputs) == [] and evidence_problems(found.decisions) == []
    if case == "duty_in_an_experiment":
        assert unknown["reason_codes"].str.contains("MINIMUM_DUTY").all() and not unknown["is_exploration"].any()
    # the same NULL where nobody was drawn is evidence that was lost
    lost = found.decisions["propensity"].notna() & ~found.decisions["is_exploration"]
    row = found.decisions.index[lost & found.decisions["experiment_id"].isna()][0]
    holed = found.decisions.copy()
    holed.loc[row, "propensity"] = np.nan
    problems = evidence_problems(holed)
    assert len(problems) == 1 and holed.loc[row, "customer_id"] in problems[0]
    holed.loc[row, "propensity"] = 1.5
    assert "not in (0, 1]" in evidence_problems(holed)[0]


def test_over_seeds_each_action_is_taken_as_often_as_logged() -> None:
    # Capacities bind nobody, so that one member's draw leaves the others' plan alone.
    share, runs, size = 0.6, 60, 60
    inputs = book(size, seed=4) | {"collectors": ROOMY}
    taken = np.zeros((size, len(CHANNELS) + 1))
    for seed in range(runs):
        found = run(inputs, exploration_share=share, daily_capacity=NO_LIMIT, exploration_max_cost=20.0, seed=seed)
        column = pd.Index(CHANNELS).get_indexer(found.decisions["action"])
        taken[np.arange(size), column] += 1  # none is -1, the last column
    details = found.details
    chance = (share * details["explore_probability"] + (1 - share) * details["greedy_action"]).to_numpy()
    chance = chance.reshape(size, -1)
    order = [details["channel_code"].head(len(CHANNELS)).tolist().index(code) for code in CHANNELS]
    chance = np.column_stack([chance[:, order], 1 - chance.sum(axis=1)])
    variance = chance * (1 - chance) * runs
    certain = variance < 1e-9
    np.testing.assert_allclose(taken[certain], (chance * runs)[certain], atol=1e-9)
    z = ((taken - chance * runs)[~certain]) / np.sqrt(variance[~certain])
    assert abs(z.mean()) < 0.25
    assert 0.8 < (z**2).mean() < 1.2
    assert abs(taken.sum(axis=0) - chance.sum(axis=0) * runs).max() < 4 * np.sqrt(variance.sum(axis=0).max())


SCARCE = dict.fromkeys(COSTS, 6) | {"call": None, "visit": None}  # people have their own capacities


@pytest.mark.parametrize("seed", range(3))
def test_what_the_plan_would_have_done_for_the_explored_is_what_it_does_if_they_are_not(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    inputs = book(100, seed=seed)
    options = {"exploration_share": 0.25, "daily_capacity": SCARCE, "seed": seed}
    found = run(inputs, **options)
    greedy = found.details[found.details["greedy_action"]].set_index("customer_id")["channel_code"]
    known = np.flatnonzero(found.decisions["is_exploration"] & found.decisions["propensity"].notna())
    assert len(known) > 10
    for place in known[:8]:

        def left_alone(*given, place=place, **named):
            drawn = explore(*given, **named)
            others = drawn.is_explored & (np.arange(len(drawn.drawn)) != place)
            return replace(drawn, is_explored=others)

        monkeypatch.setattr(planning, "explore", left_alone)
        row = run(inputs, **options).decisions.iloc[place]
        assert row["action"] == greedy.get(row["customer_id"], "none")


def test_what_an_arm_would_have_done_for_a_member_of_another_is_what_it_does_if_it_is_its_own() -> None:
    inputs = book(60, seed=2)
    names = inputs["features"]["customer_id"].tolist()
    shares = {"held": 0.3, "ladder": 0.3}
    policies = [("hold_out", "ladder", "puntual")[place % 3] for place in range(60)]
    rows = run(inputs, arms=in_arms(*zip(names, policies, strict=True), **shares), daily_capacity=SCARCE)
    checked = 0
    for place in range(0, 60, 4):
        chance = {"hold_out": ("none", 0.3)}
        for policy, weight in (("puntual", 0.4), ("ladder", 0.3)):
            moved = [policy if row == place else other for row, other in enumerate(policies)]
            other = run(inputs, arms=in_arms(*zip(names, moved, strict=True), **shares), daily_capacity=SCARCE)
            chance[policy] = (other.decisions["action"].iloc[place], weight)
        row = rows.decisions.iloc[place]
        if not np.isnan(row["propensity"]):
            checked += 1
            assert row["propensity"] == pytest.approx(
                sum(p for action, p in chance.values() if action == row["action"])
            )
    assert checked >= 12


@pytest.mark.slow
def test_over_seeds_one_over_the_logged_propensity_counts_everybody_once_where_capacity_is_scarce() -> None:
    """Each action that can be drawn is taken, weighted by one over its logged propensity, once per member and run."""
    share, runs, size = 0.3, 80, 60
    # chances of drawing are kept within .5 of a capacity: 12 of 60 leave few draws without a place
    limits = dict.fromkeys(COSTS, 12)
    inputs = book(size, seed=4) | {"collectors": team({"daily_capacity": 12}, {"channels": "visit"})}
    total = dict.fromkeys(("none", *COSTS), 0.0)
    unknown, chances = 0, {}
    for seed in range(runs):
        found = run(inputs, exploration_share=share, daily_capacity=limits, seed=seed)
        told = found.decisions[found.decisions["propensity"].notna()]
        unknown += size - len(told)
        for action, weights in (1.0 / told["propensity"].astype(float)).groupby(told["action"]):
            total[action] += weights.sum()
        chances = found.details.groupby("channel_code")["explore_probability"].agg(["min", lambda p: (p > 0).sum()])
    assert unknown <= 0.01 * runs * size
    assert total["none"] / runs == pytest.approx(size, rel=0.1)
    for action, (_, possible) in chances.iterrows():
        assert total[action] / runs == pytest.approx(possible, rel=0.25), action


def test_the_default_keeps_the_cost_of_exploration_to_a_share_of_the_plan() -> None:
    inputs = book(400, seed=5)
    plan = run(inputs, exploration_share=0.0).decisions["contact_cost_amount"].sum()
    found = run(inputs, exploration_share=0.3, exploration_max_cost_share=0.1)
    assert found.summary["exploration_max_cost_amount"] == pytest.approx(0.1 * plan, abs=0.006)
    details = found.details
    expected = 0.3 * (details["explore_probability"] * details["cost_amount"]).sum()
    assert found.summary["exploration_expected_cost_amount"] == pytest.approx(expected, abs=0.006)
    assert expected == pytest.approx(0.1 * plan)
    tighter = run(inputs, exploration_share=0.3, exploration_max_cost_share=0.1, exploration_max_cost=1.0)
    assert tighter.summary["exploration_max_cost_amount"] == 1.0
    unbound = run(inputs, exploration_share=0.3)
    assert unbound.summary["exploration_max_cost_amount"] is None
    assert unbound.summary["exploration_expected_cost_amount"] > 0.1 * plan


def test_the_draw_itself_follows_its_probabilities() -> None:
    size = 40_000
    allowed = np.random.default_rng(0).random((size, 3)) < [0.9, 0.5, 0.7]
    members = pd.Series([f"m{place}" for place in range(size)])
    member = np.ones((1, 3, 1), dtype=bool)
    found = explore(
        members,
        allowed,
        np.zeros(size, dtype=np.int64),
        member,
        np.array([False]),
        np.array([10 * size]),
        share=0.3,
        seed=3,
        as_of=TUESDAY,
        cost=np.array([1.0, 0.1, 0.01]),
        most_cost=1_000.0,
    )
    assert found.probability.sum(axis=1) == pytest.approx(1.0)
    assert (found.probability[:, :3][~allowed] == 0).all()
    assert abs(found.is_explored.mean() - 0.3) < 0.01
    for action in range(-1, 3):
        expected = found.probability[:, action].sum()
        spread = np.sqrt((found.probability[:, action] * (1 - found.probability[:, action])).sum())
        assert abs((found.drawn == action).sum() - expected) < 4 * spread


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.tuples(st.floats(0, 500), st.floats(0, 10)), min_size=1, max_size=6),
    st.floats(0, 3_000),
)
def test_the_expected_cost_stays_within_its_bound_and_the_bound_is_used(
    actions: list[tuple[float, float]], most: float
) -> None:
    count, cost = (np.array(part) for part in zip(*actions, strict=True))
    factor = affordable(count, cost, most)
    spent = float((count * cost * factor).sum())
    assert ((factor >= 0) & (factor <= 1)).all()
    assert spent == pytest.approx(min(most, float(count @ cost)), rel=1e-6, abs=1e-6)
    # The dear ones give way first.
    order = np.argsort(cost)
    assert (np.diff(factor[order]) <= 1e-9).all()


def test_the_setting_bounds_the_expected_cost_of_a_day() -> None:
    inputs = book(800, seed=2) | {"collectors": ROOMY}
    wide = run(inputs, exploration_share=0.3, daily_capacity=NO_LIMIT)
    tight = run(inputs, exploration_share=0.3, daily_capacity=NO_LIMIT, exploration_max_cost=30.0)

    def expected(found) -> float:
        return 0.3 * float((found.details["explore_probability"] * found.details["cost_amount"]).sum())

    assert expected(wide) > 60
    assert expected(tight) == pytest.approx(30.0)
    cheap = tight.details["channel_code"] == "sms"
    assert tight.details.loc[cheap, "explore_probability"].sum() == pytest.approx(
        wide.details.loc[cheap, "explore_probability"].sum()
    )


def test_a_contact_that_cannot_pay_for_itself_is_never_drawn_but_an_unknown_one_may_be() -> None:
    inputs = book(300, seed=3)
    scores = inputs["channel_scores"].copy()
    scores.loc[scores["channel_code"] == "sms", "gain_amount"] = -1.0
    scores.loc[scores["channel_code"] == "ivr", ["gain_amount", "is_supported"]] = [-1.0, False]
    found = run(inputs | {"channel_scores": scores}, exploration_share=0.5, daily_capacity=NO_LIMIT)
    chance = found.details.groupby("channel_code")["explore_probability"].sum()
    assert chance["sms"] == 0
    assert chance["ivr"] > 0
    assert not (found.decisions["action"] == "sms").any()


def test_worth_trying_by_hand() -> None:
    gain, cost = np.array([[0.3, 0.2, np.nan, -5.0]]), np.full(4, 0.45)
    assert worth_trying(gain, cost, np.ones((1, 4), dtype=bool)).tolist() == [[True, False, True, False]]
    assert worth_trying(gain, cost, np.zeros((1, 4), dtype=bool)).all()
