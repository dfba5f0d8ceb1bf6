"""Reach by hour: nearer to the truth than raw rates on a played world, and silent where hours do not differ."""

from __future__ import annotations

from datetime import date

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit, logit

from models.hours.card import best_hours, render
from models.hours.reach import COUNTS, reach_by_hour, strongest
from models.hours.settings import ReachSettings
from models.lab.settings import CALL
from models.lab.simulate import simulate
from models.lab.world import FIRST_HOUR, LAST_HOUR
from puntual.errors import ModelError
from puntual.lists.hours import best_hour

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


ADVANTAGE = {"early": 0.6, "late": 0.2}


def unbalanced(seed: int, rate_of: dict[int, float] | None = None, off_hours: int = 8) -> pd.DataFrame:
    """One segment is called in the mornings and the other in the afternoons, and a little at the other's hours.

    Reach is .6 and .2, at every hour the same unless ``rate_of`` says what an hour adds to the log odds.
    """
    random = np.random.default_rng(seed)
    rows = []
    for segment, rate in ADVANTAGE.items():
        for weekday in range(1, 6):
            for hour in range(8, 18):
                mine = (hour < 13) == (segment == "early")
                count = 200 if mine else int(random.integers(2, off_hours + 5))
                chance = expit(logit(rate) + (rate_of or {}).get(hour, 0.0))
                rows.append(("call", segment, weekday, hour, count, int(random.binomial(count, chance))))
    return pd.DataFrame(rows, columns=list(COUNTS))


def suggestions(reach: pd.DataFrame) -> dict[tuple[str, int], str]:
    """What the lists suggest in a window of the whole day, by segment and weekday."""
    enough = reach[reach["is_enough"]]
    start, end = pd.Timestamp("2026-06-30 08:00"), pd.Timestamp("2026-06-30 18:00")
    return {
        (segment, weekday): best_hour(part.set_index("hour")["shrunk_rate"], start, end)
        for (segment, weekday), part in enough.groupby(["segment", "weekday"])
    }


def test_no_hour_is_made_up_where_segments_are_called_at_different_hours() -> None:
    said = [found for seed in range(25) for found in suggestions(reach_by_hour(unbalanced(seed))).values()]
    assert len(said) >= 25 * 2 * 5 * 0.8
    assert sum(bool(hour) for hour in said) <= 0.02 * len(said)


def test_an_hour_that_matters_is_found_although_segments_are_called_at_different_hours() -> None:
    """At ten and at four people answer more, whoever they are."""
    found, rates = 0, []
    for seed in range(10):
        reach = reach_by_hour(unbalanced(seed, {10: 0.9, 16: 0.9}, off_hours=12))
        said = suggestions(reach)
        found += sum(hour in {"10:00", "16:00"} for hour in said.values())
        rates.append(reach[reach["hour"].eq(10) & reach["segment"].eq("early")]["shrunk_rate"].mean())
    assert found >= 0.98 * 10 * 2 * 5
    assert np.mean(rates) == pytest.approx(expit(logit(0.6) + 0.9), abs=0.03)


def test_a_weekday_on_which_an_hour_was_tried_is_not_the_hours_merit() -> None:
    """On Mondays .5 answers and on Fridays .2, at every hour; nine was tried on Mondays, three in the afternoon on Fridays."""
    rows = []
    for weekday, rate in ((1, 0.5), (5, 0.2)):
        for hour in range(8, 17):
            count = 400 if (weekday, hour) in {(1, 9), (5, 15)} else 20 if hour in {9, 15} else 200
            rows.append(("call", "a", weekday, hour, count, round(count * rate)))
    reach = reach_by_hour(pd.DataFrame(rows, columns=list(COUNTS)))
    hours = reach.drop_duplicates("hour").set_index("hour")["hour_rate"]
    assert abs(hours[9] - hours[15]) < 0.03
    assert set(suggestions(reach).values()) == {""}
    monday = reach[reach["weekday"] == 1].set_index("hour")["shrunk_rate"]
    assert monday[15] == pytest.approx(0.5, abs=0.05)


def test_an_hour_needs_attempts_of_its_own() -> None:
    rows = [("call", "a", 1, 9, 500, 200), ("call", "a", 1, 10, 500, 200), ("call", "a", 1, 11, 29, 25)]
    reach = reach_by_hour(pd.DataFrame(rows, columns=list(COUNTS))).set_index("hour")
    assert reach["is_enough"].to_dict() == {9: True, 10: True, 11: False}
    rows[-1] = ("call", "a", 1, 11, 30, 25)
    reach = reach_by_hour(pd.DataFrame(rows, columns=list(COUNTS))).set_index("hour")
    assert reach["is_enough"].all()


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
