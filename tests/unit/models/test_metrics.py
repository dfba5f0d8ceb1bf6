from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.metrics import (
    auc,
    brier,
    calibration_table,
    ece,
    log_loss,
    metrics_with_interval,
    reference_bins,
    stability_index,
)
from models.seasons import Season, fit_season, season_left_over


def test_auc_counts_ordered_pairs() -> None:
    # Events .8 and .3 against others .5 and .1: (.8,.5) (.8,.1) (.3,.1) are right, (.3,.5) is wrong: 3 of 4.
    assert auc(np.array([1, 1, 0, 0]), np.array([0.8, 0.3, 0.5, 0.1])) == 0.75
    assert math.isnan(auc(np.array([1, 1]), np.array([0.1, 0.2])))


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 5)), min_size=2, max_size=40))
def test_auc_of_the_opposite_score_is_the_rest(rows: list[tuple[bool, int]]) -> None:
    y, p = np.array([r[0] for r in rows], dtype=float), np.array([r[1] for r in rows], dtype=float)
    if 0 < y.sum() < len(y):
        assert auc(y, p) + auc(y, -p) == pytest.approx(1.0)


def test_a_weight_of_two_is_a_row_given_twice() -> None:
    y, p = np.array([1.0, 0.0, 1.0, 0.0]), np.array([0.7, 0.6, 0.4, 0.1])
    twice = np.r_[y, y[:1]], np.r_[p, p[:1]]
    weight = np.array([2.0, 1.0, 1.0, 1.0])
    assert auc(y, p, weight) == pytest.approx(auc(*twice))
    assert brier(y, p, weight) == pytest.approx(brier(*twice))
    assert log_loss(y, p, weight) == pytest.approx(log_loss(*twice))


def test_brier_log_loss_and_ece_by_hand() -> None:
    y, p = np.array([1.0, 0.0]), np.array([0.8, 0.4])
    assert brier(y, p) == pytest.approx((0.04 + 0.16) / 2)
    assert log_loss(y, p) == pytest.approx(-(math.log(0.8) + math.log(0.6)) / 2)
    # Bins of two: mean .2 against rate .5, mean .7 against rate 1; both halves weigh the same.
    assert ece(np.array([0, 1, 1, 1]), np.array([0.1, 0.3, 0.6, 0.8]), bins=2) == pytest.approx((0.3 + 0.3) / 2)


def test_the_calibration_table_has_the_parts_of_every_rate() -> None:
    table = calibration_table(np.array([0, 1, 1, 1]), np.array([0.1, 0.3, 0.6, 0.8]), bins=2)
    assert table["row_count"].tolist() == [2, 2]
    assert table["event_count"].tolist() == [1, 2]
    assert table["event_rate"].tolist() == [0.5, 1.0]


def test_an_interval_is_wider_when_rows_of_a_person_repeat() -> None:
    random = np.random.default_rng(0)
    p = random.random(200)
    y = (random.random(200) < p).astype(float)
    alone = metrics_with_interval(y, p, np.arange(200))["auc"]
    repeated = metrics_with_interval(np.tile(y, 5), np.tile(p, 5), np.tile(np.arange(200), 5))["auc"]
    naive = metrics_with_interval(np.tile(y, 5), np.tile(p, 5), np.arange(1000))["auc"]
    assert alone["low"] < alone["value"] < alone["high"]
    width = {name: m["high"] - m["low"] for name, m in (("alone", alone), ("repeated", repeated), ("naive", naive))}
    assert width["repeated"] == pytest.approx(width["alone"], rel=0.35)
    assert width["naive"] < 0.7 * width["repeated"]


def test_stability_is_zero_for_the_same_sample_and_large_for_a_moved_one() -> None:
    x = np.random.default_rng(0).normal(size=5000)
    reference = reference_bins(x)
    assert stability_index(reference, x) == pytest.approx(0.0, abs=1e-12)
    assert stability_index(reference, x + 1) > 0.25


def test_a_season_needs_a_year_and_is_found_again() -> None:
    day = np.tile(np.arange(1, 365, 7.0), 400)
    wave = 0.8 * np.sin(2 * np.pi * day / 365.25)
    y = (np.random.default_rng(0).random(len(day)) < 1 / (1 + np.exp(2 - wave))).astype(float)
    found = fit_season(day, y, span_days=364)
    assert found.log_odds(day).tolist() == [0.0] * len(day)
    found = fit_season(day, y, span_days=365)
    assert np.abs(found.log_odds(day) - (wave - 2)).max() < 0.3


def dated(shift: np.ndarray, rows: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Dates every four weeks, their days of the year, outcomes, and scores that know all but the dates' shift."""
    random = np.random.default_rng(seed)
    dates = np.repeat(np.datetime64("2024-09-10") + 28 * np.arange(len(shift)), rows)
    day = (dates - dates.astype("datetime64[Y]").astype("datetime64[D]")) / np.timedelta64(1, "D") + 1
    score = random.normal(-2.0, 1.0, len(dates))
    outcome = (random.random(len(dates)) < 1 / (1 + np.exp(-score - np.repeat(shift, rows)))).astype(float)
    return dates, day, outcome, score


def test_the_season_that_scores_leave_over_is_found_and_a_walk_of_the_times_is_not_taken_for_one() -> None:
    month = np.arange(18)
    wave = 0.3 * np.sin(2 * np.pi * 28 * month / 365.25)
    dates, day, outcome, score = dated(wave, 4000)
    found = season_left_over(dates, day, outcome, score, span_days=476).log_odds(day)
    assert np.corrcoef(found, np.repeat(wave, 4000))[0, 1] > 0.97
    assert found.max() - found.min() == pytest.approx(0.6, abs=0.12)
    # Worse month after month, without a year in it: less than a third of the way is called a season.
    drift = season_left_over(*dated(0.05 * month, 4000), span_days=476).log_odds(day)
    assert drift.max() - drift.min() < 0.85 / 3
    quiet = season_left_over(*dated(0.0 * month, 4000), span_days=476).log_odds(day)
    assert np.abs(quiet).max() < 0.03
    assert season_left_over(dates, day, outcome, score, span_days=364) == Season()


def test_seasons_add_up_and_none_adds_nothing() -> None:
    one, other = Season((0.1, 0.2, 0.0, 0.0, 0.0)), Season((0.0, -0.1, 0.3, 0.0, 0.0))
    day = np.arange(1.0, 366.0)
    assert (one + other).log_odds(day) == pytest.approx(one.log_odds(day) + other.log_odds(day))
    assert one + Season() == one == Season() + one
