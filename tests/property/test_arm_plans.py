"""Plans of several arms on small days: every probability is that of its action when all draws are enumerated."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from unittest.mock import patch

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from puntual.decision import plan as planning
from puntual.decision.arms import Arms
from puntual.decision.capacity import Capacity, Cell
from puntual.decision.explore import explore
from puntual.decision.minimums import Minimums
from puntual.decision.plan import Plan, make_plan
from puntual.decision.scores import Scores
from puntual.decision.stability import Stability
from puntual.decision.variants import Alternative, Variant, parts_of
from tests.unit.decision.worlds import TUESDAY

CHANNELS = ["call", "sms", "visit"]
ZONES = ["loja", "quito"]
SHARE = 0.3


def scores(random: np.random.Generator, size: int, *, is_model: bool = True) -> Scores:
    shape = (size, len(CHANNELS))
    cost = np.array([0.5, 0.1, 2.0])
    gain = random.normal(2.0, 3.0, shape) if is_model else np.full(shape, np.nan)
    worth = gain - cost if is_model else np.where(random.random(shape) < 0.7, random.uniform(0.5, 2.0, shape), np.nan)
    nothing = np.zeros(shape) if is_model else np.full(shape, np.nan)
    return Scores(is_model, gain, cost, worth, gain, np.isfinite(worth), nothing, nothing, nothing)


class Day:
    """A small day with an own plan of weights, one of a ladder, a hold-out, and members of other probabilities each."""

    def __init__(self, seed: int, size: int, *, share: float = SHARE) -> None:
        random = np.random.default_rng(seed)
        self.seed, self.share, self.size = seed, share, size
        self.people = pd.DataFrame({"customer_id": [f"m{number}" for number in range(size)]})
        self.people["zone"] = random.choice(ZONES, size)
        self.allowed = random.random((size, len(CHANNELS))) < 0.8
        self.scores = scores(random, size)
        nothing = np.zeros((size, len(CHANNELS)))
        self.stability = Stability(nothing, nothing, np.full(size, -1))
        by_weights, by_steps = scores(random, size), scores(random, size, is_model=False)
        self.others = [
            Alternative.of_product(by_weights, by_weights, self.stability),
            Alternative.of_ladder(by_steps, by_steps, is_model=True),
        ]
        self.offered = [
            Capacity("limit:call", (Cell("call"),), int(random.integers(1, 4))),
            Capacity("limit:sms", (Cell("sms"),), int(random.integers(1, 6))),
            *(Capacity(f"visits:{zone}", (Cell("visit", zone),), int(random.integers(0, 3))) for zone in ZONES),
        ]
        some = random.dirichlet([2.0, 2.0, 2.0, 2.0], size)
        held, chance = some[:, 3].copy(), some[:, 1:3].T.copy()
        outside = random.random(size) < 0.2
        held[outside], chance[:, outside] = 0.0, 0.0
        drawn = np.array([random.choice(4, p=row) for row in some])
        drawn[outside] = 0
        plans = (Variant(experiment_id="e", arm_code="w", fee_weight=0.5), None)
        self.arms = Arms(
            np.full(size, "e", dtype=object),
            np.full(size, "a", dtype=object),
            drawn == 3,
            held,
            plans,
            np.where(drawn == 3, 0, drawn).astype(np.int64),
            chance,
        )
        self.most = Minimums.of(self.people, None, self.allowed, self.scores, self.offered, CHANNELS, self.arms.is_held)

    def plan(self, **changed: Any) -> Plan:
        return make_plan(
            self.people,
            self.allowed,
            self.scores,
            self.others,
            changed.get("arms", self.arms),
            self.offered,
            CHANNELS,
            self.most,
            self.stability,
            share=self.share,
            most_cost=None,
            most_cost_share=None,
            seed=self.seed,
            as_of=TUESDAY,
        )

    def if_undrawn(self, row: int, plan: int) -> int:
        """What is done for a member who is not explored and in the arm of ``plan``, everybody else's draws as they are."""

        def undrawn(*given: Any, **named: Any) -> Any:
            found = explore(*given, **named)
            is_explored = found.is_explored.copy()
            is_explored[row] = False
            return replace(found, is_explored=is_explored)

        own, is_held = self.arms.plan.copy(), self.arms.is_held.copy()
        own[row], is_held[row] = plan, False
        with patch.object(planning, "explore", undrawn):
            return int(self.plan(arms=replace(self.arms, plan=own, is_held=is_held)).choice[row])


@settings(deadline=None, max_examples=15, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(0, 10**6), st.integers(2, 9))
def test_every_probability_is_that_of_all_draws_enumerated(seed: int, size: int) -> None:
    day = Day(seed, size)
    made = day.plan()
    known = 0
    for row in range(size):
        if np.isnan(made.propensity[row]):
            continue
        known += 1
        held, chance = day.arms.held_probability[row], day.arms.chance[:, row]
        of_plan = [1.0 - held - chance.sum(), *chance]
        action = int(made.choice[row])
        drawn = made.exploration.probability[row, len(CHANNELS) if action < 0 else action]
        expected = held * (action < 0) + (1 - held) * SHARE * drawn
        for plan, probability in enumerate(of_plan):
            expected += (1 - SHARE) * probability * (day.if_undrawn(row, plan) == action)
        assert made.propensity[row] == pytest.approx(expected, abs=1e-9), (row, action)
    assert known >= size // 2


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 10**6), st.integers(0, 40), st.sampled_from([0.0, 0.3, 0.9]))
def test_no_capacity_is_broken_and_everyone_follows_its_arm(seed: int, size: int, share: float) -> None:
    day = Day(seed, size, share=share)
    made = day.plan()
    zone = day.people["zone"].to_numpy()
    for position, capacity in enumerate(day.offered):
        inside = np.zeros(size, dtype=bool)
        for cell in capacity.cells:
            mine = made.choice == CHANNELS.index(cell.channel)
            inside |= mine & ((zone == cell.zone) if cell.zone else True)
        assert inside.sum() == made.used[position] <= capacity.count
    chosen = np.flatnonzero(made.choice >= 0)
    assert day.allowed[chosen, made.choice[chosen]].all()
    explored = made.exploration.is_explored
    assert (made.choice[day.arms.is_held] == -1).all()
    followed = [day.scores, *(one.scores for one in day.others)]
    for row in np.flatnonzero((made.choice >= 0) & ~explored):
        assert followed[day.arms.plan[row]].worth[row, made.choice[row]] > 0


def test_over_the_days_each_plan_has_its_part_of_a_capacity_of_one() -> None:
    """Two arms of one half each and one visit a day: each has it about every other day, whatever is drawn."""
    day = Day(5, 12, share=0.0)
    half = np.full((1, 12), 0.5)
    own = (np.arange(12) % 2).astype(np.int64)
    worth = np.zeros((12, len(CHANNELS)))
    worth[:, CHANNELS.index("visit")] = np.linspace(1.0, 2.0, 12)
    day.scores = replace(day.scores, worth=worth, gain=worth + day.scores.cost, supported=worth > 0)
    day.others = [Alternative.of_product(day.scores, day.scores, day.stability)]
    day.allowed = np.ones((12, len(CHANNELS)), dtype=bool)
    day.offered = [Capacity("visits", (Cell("visit"),), 1)]
    day.arms = replace(
        day.arms, is_held=own > 1, held_probability=np.zeros(12), plans=day.arms.plans[:1], plan=own, chance=half
    )
    day.most = Minimums.of(day.people, None, day.allowed, day.scores, day.offered, CHANNELS, day.arms.is_held)
    had = []
    for seed in range(300):
        day.seed = seed
        (row,) = np.flatnonzero(day.plan().choice >= 0)
        had.append(own[row])
    # of 300 fair draws the standard deviation is 8.7
    assert abs(sum(had) - 150) < 35


@settings(deadline=None)
@given(
    st.integers(0, 200),
    st.lists(st.floats(0, 1), min_size=1, max_size=4),
    st.lists(st.floats(0, 1, exclude_max=True), min_size=4, max_size=4),
)
def test_one_unit_more_is_one_more_for_one_plan(free: int, weights: list[float], lots: list[float]) -> None:
    portions = np.array(weights) / max(sum(weights), 1.0)
    parts = parts_of(np.arange(free, free + 2), portions, np.array(lots[: len(portions)]))
    whole = np.vstack([np.arange(free, free + 2) - parts.sum(axis=0), parts])
    assert (whole >= 0).all()
    assert sorted(np.diff(whole, axis=1).ravel().tolist()) == [0] * len(portions) + [1]
    # each of the splits that lead to a plan rounds to within one unit
    assert (np.abs(parts - portions[:, None] * np.arange(free, free + 2)) < max(2, len(portions))).all()
