"""Days of two experiments decided as a whole: every probability is that of all outcomes of the member's draws."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pandas as pd
import pytest

from puntual.decision.decide import DecisionOutcome
from puntual.decision.variants import Variant, Variants
from puntual.experiments.assign import arms, chances, expose
from puntual.experiments.registry import Registered
from tests.unit.decision.test_decide import COSTS, TEAM, run
from tests.unit.decision.test_variants import weighed_book
from tests.unit.experiments.test_assign import DAY, NOBODY, registered
from tests.unit.experiments.test_changes import LADDER, changed, weights

SHARE = 0.2
LIMITS = dict.fromkeys(COSTS, 2) | {"sms": 3, "visit": 1}
FIRST = [
    {"code": "product", "share": 0.3, "policy": "puntual"},
    changed(share=0.3, code="provision", **weights(provision_weight=1.0)),
    changed(share=0.2, code="fee", **weights(collection_fee_weight=1.0)),
    {"code": "held", "share": 0.2, "policy": "hold_out"},
]
SECOND = [
    {"code": "product", "share": 0.4, "policy": "puntual"},
    changed("ladder", 0.2, "steps", ladder=LADDER),
    {"code": "held", "share": 0.1, "policy": "hold_out"},
    {"code": "old", "share": 0.3, "policy": "ladder"},
]


def experiments(seed: int) -> list[Registered]:
    return [
        registered(id="e1", layer="l1", salt=f"a{seed}", arms=FIRST, control="product"),
        registered(id="e2", layer="l2", salt=f"b{seed}", arms=SECOND, control="product"),
    ]


def plans(every: list[Registered]) -> tuple[Variant, ...]:
    return tuple(
        Variant(
            experiment_id=one.experiment.id,
            arm_code=arm.code,
            provision_weight=arm.changes.provision_weight,
            fee_weight=arm.changes.collection_fee_weight,
            ladder=arm.changes.ladder,
        )
        for one in every
        for arm in one.experiment.changed_arms
        if arm.changes
    )


@pytest.mark.long
@pytest.mark.parametrize("seed", [pytest.param(1, marks=pytest.mark.slow), 2])
def test_every_probability_of_a_decided_day_is_that_of_all_draws_of_its_experiments(seed: int) -> None:
    """The draw of exploration is taken from the details; that of every arm by deciding the day with the member in it."""
    inputs = weighed_book(14, seed) | {"collectors": TEAM.iloc[:1]}
    every, people = experiments(seed), inputs["features"]
    exposures = expose(every, people, NOBODY, DAY)
    # a third is in one experiment alone, and some in none
    alone = people["customer_id"].iloc[::3]
    exposures = exposures[~(exposures["customer_id"].isin(alone) & (exposures["experiment_id"] == "e2"))]
    exposures = exposures[~exposures["customer_id"].isin(alone.iloc[::3])]
    options: dict[str, Any] = {"hour_bands": {"call": {"08:00-12:00": 2, "12:00-18:00": 1}}}

    def decided(given: pd.DataFrame) -> DecisionOutcome:
        known = Variants(plans(every), chances(every, given))
        return run(
            inputs, daily_capacity=LIMITS, arms=arms(every, given), variants=known, provision_weight=0.25,
            exploration_share=SHARE, seed=seed, **options
        )  # fmt: skip

    found = decided(exposures)
    rows = found.decisions.set_index("customer_id")
    details = found.details.pivot(index="customer_id", columns="channel_code", values="explore_probability")
    checked = 0
    for name, row in rows[~rows["is_exploration"] & rows["propensity"].notna()].iterrows():
        mine = exposures[exposures["customer_id"] == name]
        shares = [
            {arm.code: arm.share for arm in one.experiment.arms}
            for one in every
            if one.experiment.id in set(mine["experiment_id"])
        ]
        answers: dict[Any, str] = {}
        total, held, is_drawn = 0.0, 0.0, False
        for outcome in itertools.product(*shares):
            chance = float(np.prod([part[code] for part, code in zip(shares, outcome, strict=True)]))
            other = exposures.copy()
            other.loc[mine.index, "arm_code"] = list(outcome)
            followed = arms(every, other[other["customer_id"] == name])
            key = tuple(followed[["experiment_id", "arm_code", "policy"]].iloc[0]) if len(followed) else None
            if key not in answers:
                then = decided(other).decisions.set_index("customer_id").loc[name]
                answers[key], is_drawn = then["action"], is_drawn or bool(then["is_exploration"])
            is_held = key is not None and key[2] == "hold_out"
            held += chance * is_held
            total += chance * (answers[key] == row["action"]) * (1.0 if is_held else 1.0 - SHARE)
        if is_drawn:  # a held-out member whom exploration would have drawn: what its plans do is not seen
            continue
        draws = details.loc[name]
        drawn = 1.0 - draws.sum() if row["action"] == "none" else draws[row["action"]]
        assert row["propensity"] == pytest.approx(total + (1.0 - held) * SHARE * drawn, abs=1e-9), name
        checked += len(answers) > 1
    assert checked >= 4
