"""Reach by hour: nearer to the truth than raw rates on a played world, and silent where hours do not differ."""

from __future__ import annotations

from datetime import date

import numpy as np
import pandas as pd
import pytest

from models.hours.card import best_hours, render
from models.hours.reach import reach_by_hour, strongest
from models.hours.settings import ReachSettings
from models.lab.settings import CALL
from models.lab.simulate import simulate
from models.lab.world import FIRST_HOUR, LAST_HOUR
from puntual.errors import ModelError

HOURS = np.arange(FIRST_HOUR, LAST_HOUR + 1)
SALARIED = 0


@pytest.fixture(scope="module")
def played() -> tuple[pd.DataFrame, pd.DataFrame]:
    """Calls of a simulated cooperative at drawn hours: counts by segment, weekday and hour, and the true rates."""
    world = simulate(members=1_200, seed=4, as_of=date(2026, 6, 30)).world
    random = np.random.default_rng(4)
    everyone = np.flatnonzero(world.people.works[:, CALL] > 0)
    none = np.zeros(len(everyone))
    truth = np.column_stack(
        [
            world.reach_probability(
                everyone, np.full(len(everyone), CALL), none, none, none.astype(int), none.astype(int) + h
            )
            for h in HOURS
        ]
    )
    group = world.people.occupation[everyone]
    member, hour = random.integers(0, len(everyone), 9_000), random.integers(0, len(HOURS), 9_000)
    calls = pd.DataFrame(
        {
            "channel_code": "call",
            "segment": [f"occupation {code}" for code in group[member]],
            "weekday": random.integers(1, 6, 9_000),
            "hour": HOURS[hour],
            "attempt_count": 1,
            "contact_count": (random.random(9_000) < truth[member, hour]).astype(int),
        }
    )
    rates = pd.DataFrame(truth, columns=HOURS).assign(segment=[f"occupation {code}" for code in group])
    true = (
        rates.melt("segment", var_name="hour", value_name="truth").groupby(["segment", "hour"], as_index=False).mean()
    )
    return calls, true


def test_shrunk_rates_are_nearer_to_the_truth_than_raw_ones(played: tuple[pd.DataFrame, pd.DataFrame]) -> None:
    calls, true = played
    reach = reach_by_hour(calls).merge(true, on=["segment", "hour"])
    by_day = [((reach[name] - reach["truth"]) ** 2).mean() for name in ("reach_rate", "shrunk_rate")]
    assert by_day[1] < 0.3 * by_day[0]
    counts = calls.groupby(["segment", "hour"])["contact_count"].mean().rename("raw").reset_index()
    hours = reach.drop_duplicates(["segment", "hour"]).merge(counts, on=["segment", "hour"])
    by_hour = [((hours[name] - hours["truth"]) ** 2).mean() for name in ("raw", "hour_rate")]
    assert by_hour[1] < 0.7 * by_hour[0]
    inside = (hours["hour_low"] <= hours["truth"]) & (hours["truth"] <= hours["hour_high"])
    assert inside.mean() >= 0.75


def test_people_with_a_job_answer_at_noon_and_after_work(played: tuple[pd.DataFrame, pd.DataFrame]) -> None:
    calls, _ = played
    reach = reach_by_hour(calls)
    mine = reach[reach["segment"] == f"occupation {SALARIED}"].drop_duplicates("hour").set_index("hour")["hour_rate"]
    assert mine[[12, 13]].mean() > mine[[9, 10]].mean() + 0.03
    assert mine[[17, 18]].mean() > mine[[9, 10]].mean() + 0.03
    best = best_hours(reach).set_index("segment").loc[f"occupation {SALARIED}", "hour"]
    assert best in {12, 13, 17, 18}


def test_where_hours_do_not_differ_none_stands_out() -> None:
    random = np.random.default_rng(0)
    calls = pd.DataFrame(
        {
            "channel_code": "sms",
            "segment": random.choice(["a", "b"], 4_000),
            "weekday": random.integers(1, 8, 4_000),
            "hour": random.integers(8, 19, 4_000),
            "attempt_count": 1,
            "contact_count": (random.random(4_000) < 0.4).astype(int),
        }
    )
    reach = reach_by_hour(calls)
    assert reach["reach_rate"].max() - reach["reach_rate"].min() > 0.3
    assert reach["shrunk_rate"].max() - reach["shrunk_rate"].min() < 0.08


def test_little_evidence_is_marked_and_a_lone_answer_is_not_believed() -> None:
    rows = [("call", "a", 1, 9, 500, 200), ("call", "a", 1, 10, 500, 200), ("call", "b", 1, 9, 1, 1)]
    counts = pd.DataFrame(
        rows, columns=["channel_code", "segment", "weekday", "hour", "attempt_count", "contact_count"]
    )
    reach = reach_by_hour(counts, ReachSettings(least_attempts=300)).set_index(["segment", "hour"])
    assert reach["is_enough"].tolist() == [True, True, False]
    assert reach.loc[("b", 9), "reach_rate"] == 1.0 and reach.loc[("b", 9), "shrunk_rate"] < 0.6
    assert reach.loc[("a", 9), "shrunk_rate"] == pytest.approx(0.4, abs=0.02)


def test_the_draw_is_strong_where_groups_agree_and_weak_where_they_differ() -> None:
    n, mean = np.full(20, 100.0), np.full(20, 0.5)
    assert strongest(n, np.full(20, 50.0), mean, (10.0, 100.0, 1_000.0)) == 1_000.0
    assert strongest(n, np.tile([10.0, 90.0], 10), mean, (10.0, 100.0, 1_000.0)) == 10.0


def test_bad_counts_are_refused_and_no_counts_are_an_empty_table() -> None:
    good = pd.DataFrame(
        [("call", "a", 1, 9, 1, 2)],
        columns=["channel_code", "segment", "weekday", "hour", "attempt_count", "contact_count"],
    )
    with pytest.raises(ModelError, match="more contacts than attempts"):
        reach_by_hour(good)
    with pytest.raises(ModelError, match="lack"):
        reach_by_hour(good.drop(columns="hour"))
    assert reach_by_hour(good.head(0)).empty
    assert "Todavía" in render(reach_by_hour(good.head(0)), date(2026, 6, 30))


def test_the_page_has_a_heat_map_and_nothing_from_outside(played: tuple[pd.DataFrame, pd.DataFrame]) -> None:
    page = render(reach_by_hour(played[0]), date(2026, 6, 30))
    assert page.count("<svg") == 1 and "http" not in page and "script" not in page
