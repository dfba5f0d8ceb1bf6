from __future__ import annotations

from datetime import date, timedelta
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.datasets import (
    WARM_UP_DAYS,
    channel_training_dates,
    member_fold,
    member_split,
    risk_dates_of_horizons,
    risk_training_dates,
    sample_threshold,
    time_split,
    training_rows,
)
from puntual.errors import ModelError

AS_OF = date(2026, 6, 30)


@given(horizon=st.integers(1, 400), history=st.integers(0, 1500), step=st.integers(1, 8))
def test_risk_dates_are_matured_warm_and_evenly_spaced(horizon: int, history: int, step: int) -> None:
    start = AS_OF - timedelta(days=history)
    dates = risk_training_dates(AS_OF, horizon, start, step_weeks=step)
    assert all(day + timedelta(days=horizon) <= AS_OF for day in dates)
    assert all(day >= start + timedelta(days=WARM_UP_DAYS) for day in dates)
    assert all((b - a).days == 7 * step for a, b in pairwise(dates))
    assert bool(dates) == (history >= horizon + WARM_UP_DAYS)


@given(early=st.integers(1, 400), late=st.integers(1, 400), history=st.integers(0, 1500), step=st.integers(1, 8))
def test_every_horizon_has_its_own_newest_date(early: int, late: int, history: int, step: int) -> None:
    start = AS_OF - timedelta(days=history)
    whole, newer = risk_dates_of_horizons(AS_OF, [early, late], start, step_weeks=step)
    assert whole == risk_training_dates(AS_OF, max(early, late), start, step_weeks=step)
    dates = [*whole, *newer]
    assert all(2 * (b - a).days >= 7 * step for a, b in pairwise(dates))
    assert all(day + timedelta(days=min(early, late)) <= AS_OF for day in newer)
    own = risk_training_dates(AS_OF, min(early, late), start, step_weeks=step)
    if own:
        # Less than half a step of its matured labels is left out at most.
        assert 2 * (own[-1] - dates[-1]).days < 7 * step
    else:
        assert not dates


def test_early_warning_learns_from_the_thirteen_weeks_that_default_cannot() -> None:
    whole, newer = risk_dates_of_horizons(AS_OF, [182, 91], date(2025, 6, 1))
    assert whole[-1] == AS_OF - timedelta(days=182)
    assert newer == [AS_OF - timedelta(days=days) for days in (147, 119, 91)]
    assert risk_dates_of_horizons(AS_OF, [182, 182], date(2025, 6, 1)) == (whole, [])


def test_the_newest_channel_week_ended_yesterday() -> None:
    dates = channel_training_dates(AS_OF, weeks=3)
    assert dates == [date(2026, 6, 8), date(2026, 6, 15), date(2026, 6, 22)]
    assert dates[-1] + timedelta(days=7) == AS_OF - timedelta(days=1)


def test_a_sample_is_a_part_of_every_larger_one_and_near_its_target() -> None:
    import hashlib

    heads = [hashlib.md5(f"C{i}".encode()).hexdigest()[:4] for i in range(4000)]
    small, large = (sample_threshold(4000, 10, rows) for rows in (4_000, 10_000))
    chosen = [{i for i, head in enumerate(heads) if head < below} for below in (small, large)]
    assert chosen[0] <= chosen[1]
    assert abs(len(chosen[0]) - 400) < 80
    assert abs(len(chosen[1]) - 1000) < 120
    assert all(head < "g" for head in heads)


def test_learnt_and_judged_labels_never_overlap() -> None:
    dates = pd.Series(pd.to_datetime([AS_OF - timedelta(days=28 * k) for k in range(20) for _ in range(3)]))
    split = time_split(dates, gap_days=182, test_date_count=3)
    assert split is not None
    learnt, judged = dates.iloc[split.train], dates.iloc[split.test]
    assert learnt.max() + timedelta(days=182) <= judged.min()
    assert judged.nunique() == 3
    # 20 dates, the oldest judged one is 2 steps back; 182 days are 6.5 steps, so the newest learnt is 9 back: 11 dates.
    assert learnt.nunique() == 11


def test_a_short_history_takes_fewer_test_dates_and_then_none() -> None:
    dates = pd.Series(pd.to_datetime([AS_OF - timedelta(days=28 * k) for k in range(8)]))
    split = time_split(dates, gap_days=182, test_date_count=3)
    assert split is not None
    assert len(split.test) == 1
    assert time_split(dates.iloc[:6], gap_days=182, test_date_count=3) is None


def test_without_a_gap_the_members_are_kept_apart_and_it_is_said() -> None:
    dates = pd.Series(pd.to_datetime([AS_OF] * 400 + [AS_OF - timedelta(days=28)] * 400))
    members = pd.Series([f"C{i % 400}" for i in range(800)])
    split = member_split(dates, members, test_date_count=1)
    assert not set(members.iloc[split.train]) & set(members.iloc[split.test])
    assert set(dates.iloc[split.test]) == {dates.max()}
    assert "without a gap" in split.description_en


def test_the_fold_of_a_member_does_not_depend_on_the_others() -> None:
    members = pd.Series([f"C{i}" for i in range(1000)])
    fold = member_fold(members, 5)
    np.testing.assert_array_equal(member_fold(members.iloc[::-3], 5), fold[::-3])
    assert np.bincount(fold).min() > 150


@pytest.fixture
def features() -> pd.DataFrame:
    return pd.DataFrame({"as_of_date": [date(2026, 1, 1)] * 3, "loan_id": ["b", "a", "c"], "use": [True, True, False]})


@pytest.fixture
def labels() -> pd.DataFrame:
    return pd.DataFrame({"as_of_date": pd.to_datetime(["2026-01-01"] * 2), "loan_id": ["a", "c"], "y": [1, 0]})


def join(features: pd.DataFrame, labels: pd.DataFrame, as_of: date = AS_OF) -> pd.DataFrame:
    return training_rows(features, labels, on=("as_of_date", "loan_id"), flags=("use",), as_of=as_of, model="toy")


def test_rows_without_a_flag_or_a_label_are_left_out(features: pd.DataFrame, labels: pd.DataFrame) -> None:
    assert join(features, labels)["loan_id"].tolist() == ["a"]


def test_a_row_later_than_the_run_is_refused(features: pd.DataFrame, labels: pd.DataFrame) -> None:
    with pytest.raises(ModelError, match="dated after 2025-12-31"):
        join(features, labels, as_of=date(2025, 12, 31))


def test_a_repeated_key_is_refused(features: pd.DataFrame, labels: pd.DataFrame) -> None:
    with pytest.raises(ModelError, match="twice in the labels"):
        join(features, pd.concat([labels, labels]))
