"""The logged probabilities are those with which the habit really chose, and the habit is confounded."""

from datetime import date

import numpy as np
import pyarrow.parquet as pq
import pytest

from models.lab.settings import CHANNELS, LOGGED_WEEKS, WorldSettings
from models.lab.simulate import simulate


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
