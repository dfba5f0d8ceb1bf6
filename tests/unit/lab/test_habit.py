"""The logged probabilities are those with which the habit really chose, and the habit is confounded."""

from datetime import date

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from models.lab.settings import CHANNELS, EMAIL, FAMILIES, IVR, LOGGED_WEEKS, SMS, VISIT, WHATSAPP, WorldSettings
from models.lab.simulate import simulate
from models.lab.write import write_demo


def test_choices_follow_the_logged_probabilities(history):
    logged = history.records.propensities
    assert len(logged) == LOGGED_WEEKS
    choice = np.concatenate([week["choice"] for week in logged])
    probability = np.concatenate([week["probability"] for week in logged])
    assert np.allclose(probability.sum(axis=1), 1)
    for column in range(len(CHANNELS) + 1):
        p = probability[:, column]
        count = (choice == column - 1).sum()
        assert abs(count - p.sum()) < 4 * np.sqrt((p * (1 - p)).sum())
        # also by size of the probability
        for part in np.array_split(np.argsort(p, kind="stable"), 3):
            spread = np.sqrt((p[part] * (1 - p[part])).sum())
            assert abs((choice[part] == column - 1).sum() - p[part].sum()) < 4 * spread + 1


def test_written_propensities_are_probabilities_of_the_last_weeks_only(clean_home):
    frame = pq.read_table(clean_home / "landing" / "interactions.parquet").to_pandas()
    logged = frame[frame["propensity"].notna()]
    assert logged["propensity"].between(0, 1, inclusive="right").all()
    assert (logged["direction"] == "outbound").all()
    first = logged["occurred_at"].min()
    late = frame[(frame["occurred_at"] > first) & (frame["direction"] == "outbound")]
    assert late["propensity"].notna().all()
    weeks = (frame["occurred_at"].max() - first).days / 7
    assert LOGGED_WEEKS - 1 <= weeks <= LOGGED_WEEKS


@pytest.mark.parametrize("logged", [False, True])
def test_collectors_call_those_they_expect_to_pay_at_equal_tables(history, logged):
    member = np.flatnonzero(history.world.people.works.all(axis=1) & (history.world.people.status == 0))
    n = len(member)
    visible = {"stage": np.full(n, 3), "owed": np.full(n, 20_000), "fatigue": np.zeros(n)}
    known = np.ones((n, len(CHANNELS)), bool)
    low, high = (
        history.world.habit(member, 90, hidden=np.full(n, value), known=known, logged=logged, **visible)
        for value in (-1.0, 1.0)
    )
    assert (high[:, 1] > 1.2 * low[:, 1]).all(), "calls go to those who seem willing"
    assert (high[:, 0] < low[:, 0]).all()


def test_nobody_is_contacted_after_opting_out(history):
    gone_on = {}
    for member, channel, day in history.records.opt_outs:
        for who, which, when in zip(member, channel, day, strict=True):
            gone_on[(int(who), int(which))] = int(when)
    assert gone_on
    for week in history.records.contacts:
        for who, which, when, inbound in zip(
            week["member"], week["channel"], week["day"], week["inbound"], strict=True
        ):
            if not inbound and (int(who), int(which)) in gone_on:
                assert when <= gone_on[(int(who), int(which))]


def test_without_logged_weeks_no_contact_carries_its_probability():
    history = simulate(members=40, seed=1, as_of=date(2026, 6, 30), settings=WorldSettings(logged_weeks=0))
    assert history.records.contacts
    assert history.records.propensities == []
    assert all(np.isnan(week["propensity"]).all() for week in history.records.contacts)


@pytest.fixture(scope="module")
def without_overlap():
    return simulate(members=500, seed=5, as_of=date(2026, 6, 30), settings=FAMILIES["no_overlap"])


#: Past-due days at the start of the week: the last of each stage but the open one, and the first after it.
EDGES = np.array([0, 1, 5, 6, 15, 16, 30, 31, 60, 61, 90, 91])


@pytest.mark.parametrize("logged", [False, True])
def test_without_overlap_nobody_is_visited_to_day_30_nor_written_to_from_day_61_on(without_overlap, logged):
    world = without_overlap.world
    member = np.flatnonzero(world.people.works.all(axis=1) & (world.people.status == 0))
    known = np.ones((len(member), len(CHANNELS)), bool)
    for days in EDGES:
        n = len(member)
        stage = world.stage(np.full(n, days))
        chance = world.habit(member, 100, stage, np.full(n, 20_000), np.zeros(n), np.zeros(n), known, logged=logged)[
            :, 1:
        ]
        assert ((chance[:, VISIT] == 0) == (days <= 30)).all(), days
        for channel in (WHATSAPP, SMS, EMAIL):
            assert ((chance[:, channel] == 0) == (days > 60)).all(), days
        assert (chance[:, [0, IVR]] > 0).all(), "calls and recorded calls are made at every stage"


def test_without_overlap_no_contact_is_made_where_its_logged_probability_is_nothing(without_overlap):
    assert len(without_overlap.records.propensities) == LOGGED_WEEKS
    choice = np.concatenate([week["choice"] for week in without_overlap.records.propensities])
    probability = np.concatenate([week["probability"] for week in without_overlap.records.propensities])
    assert np.allclose(probability.sum(axis=1), 1)
    assert (probability[np.arange(len(choice)), choice + 1] > 0).all()
    visits, letters = probability[:, 1 + VISIT], probability[:, [1 + WHATSAPP, 1 + SMS, 1 + EMAIL]].sum(axis=1)
    # most weeks are early ones without a visit; the few late ones have visits and no message
    assert (visits == 0).mean() > 0.5 and (letters == 0).any()
    assert ((visits > 0) & (letters == 0)).any() and (choice == VISIT).any()
    own = np.isnan(np.concatenate([week["propensity"] for week in without_overlap.records.contacts]))
    logged = np.concatenate([week["propensity"] for week in without_overlap.records.contacts])[~own]
    assert len(logged) and (logged > 0).all() and (logged <= 1).all()


def test_the_written_habit_of_the_day_leaves_out_what_it_never_does(tmp_path):
    settings = FAMILIES["no_overlap"].with_changes(error_share=0.0, default_replications=1)
    write_demo(tmp_path, members=400, seed=3, as_of=date(2026, 6, 30), settings=settings)
    habit = pd.read_parquet(tmp_path / "truth" / "truth_habit.parquet")
    truth = pd.read_parquet(tmp_path / "truth" / "truth_members.parquet").set_index("customer_id")
    # the truth counts past-due days at the as-of date, the week begins on the day before it
    days = np.maximum(truth["dpd"].reindex(habit["customer_id"]).to_numpy() - 1, 0)
    chance, channel = habit["probability"].to_numpy(), habit["channel_code"].to_numpy()
    visit, written = channel == "visit", np.isin(channel, ["whatsapp", "sms", "email"])
    assert (days <= 30).any() and (days > 60).any()
    assert (chance[visit & (days <= 30)] == 0).all() and (chance[visit & (days > 30)] > 0).any()
    assert (chance[written & (days > 60)] == 0).all() and (chance[written & (days <= 60)] > 0).any()
