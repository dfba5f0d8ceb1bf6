from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit, logit

from models.calibration import FITS, Calibration, choose_calibration, fit_beta, fit_isotonic, fit_platt, fit_spline
from models.metrics import ece, log_loss
from puntual.errors import ModelError

KINDS = sorted(FITS)


def _sample(seed: int, rows: int, level: float, spread: float, digits: int) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    score = (random.normal(size=rows) * spread).round(digits)
    return score, (random.random(rows) < expit(level + 0.7 * score)).astype(float)


samples = st.builds(
    _sample,
    st.integers(0, 10_000),
    st.sampled_from([2, 30, 600]),
    st.sampled_from([-6.0, -2.0, 0.0, 5.0]),
    st.sampled_from([0.0, 0.3, 3.0]),
    st.integers(0, 6),
)


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=40, deadline=None)
@given(sample=samples)
def test_every_map_rises_stays_inside_zero_and_one_and_survives_json(
    kind: str, sample: tuple[np.ndarray, np.ndarray]
) -> None:
    found = FITS[kind](*sample)
    # Equal steps far beyond the scores that were seen, and the scores themselves.
    places = np.sort(np.concatenate([np.linspace(-60, 60, 481), sample[0]]))
    p = found.apply(places)
    assert (np.diff(p) >= -1e-12).all()
    assert p.min() > 0
    assert p.max() < 1
    again = Calibration.from_json(json.loads(json.dumps(found.to_json())))
    assert again == found
    np.testing.assert_array_equal(again.apply(places), p)


@pytest.mark.parametrize("kind", ["platt", "beta", "spline"])
@settings(max_examples=25, deadline=None)
@given(sample=samples)
def test_the_smooth_maps_keep_the_order_of_different_scores(kind: str, sample: tuple[np.ndarray, np.ndarray]) -> None:
    found = FITS[kind](*sample)
    places = np.unique(np.clip(sample[0], -5, 5))
    odds = found.apply(places)
    inside = (odds > 1e-9) & (odds < 1 - 1e-9)
    assert (np.diff(odds[inside]) > 0).all()


@pytest.mark.parametrize("kind", KINDS)
def test_the_order_of_the_rows_changes_nothing(kind: str) -> None:
    score, y = _sample(3, 4_000, -1.0, 1.5, 12)
    order = np.random.default_rng(0).permutation(len(score))
    at = np.linspace(-4, 4, 50)
    np.testing.assert_allclose(FITS[kind](score, y).apply(at), FITS[kind](score[order], y[order]).apply(at), atol=1e-6)


def test_a_line_in_log_odds_is_found_again() -> None:
    random = np.random.default_rng(1)
    score = random.normal(size=60_000) * 2
    y = (random.random(60_000) < expit(0.5 * score - 1)).astype(float)
    found = fit_platt(score, y)
    assert found.slope == pytest.approx(0.5, abs=0.03)
    assert found.intercept == pytest.approx(-1, abs=0.04)


@given(
    slope=st.floats(0.2, 5.0),
    shift=st.floats(-3.0, 3.0),
    level=st.sampled_from([-2.9, -1.0, 0.0]),
    seed=st.integers(0, 99),
)
@settings(max_examples=40, deadline=None)
def test_the_line_undoes_any_stretch_and_shift_of_true_log_odds(
    slope: float, shift: float, level: float, seed: int
) -> None:
    random = np.random.default_rng(seed)
    truth = level + 1.2 * random.normal(size=20_000)
    y = (random.random(len(truth)) < expit(truth)).astype(float)
    found = fit_platt((truth - shift) / slope, y)
    assert found.slope == pytest.approx(slope, rel=0.15)
    # An intercept-only fit has the mean of the outcomes exactly; the pull of four rows moves it by less than a row's worth
    # in a thousand.
    assert found.apply((truth - shift) / slope).mean() == pytest.approx(y.mean(), abs=1e-3)


@pytest.mark.parametrize("times", [2, 3, 5])
def test_the_line_of_far_too_sure_scores_is_no_worse_than_any_other(times: float) -> None:
    random = np.random.default_rng(8)
    truth = -3.3 + 1.2 * random.normal(size=20_000)
    y = (random.random(len(truth)) < expit(truth)).astype(float)
    found = fit_platt(times * truth, y)
    assert found.slope == pytest.approx(1 / times, rel=0.1)
    own = log_loss(y, found.apply(times * truth))
    for slope in np.linspace(0.05, 1.5, 30):
        for intercept in (-1.0, -0.3, 0.0, 0.3, 1.0):
            other = Calibration("platt", slope=slope, intercept=intercept)
            assert own <= log_loss(y, other.apply(times * truth)) + 1e-5


def test_a_falling_line_is_kept_rising_at_the_right_level() -> None:
    random = np.random.default_rng(9)
    score = random.normal(size=20_000) * 2 + 10
    y = (random.random(len(score)) < expit(-0.5 * (score - 10) - 2)).astype(float)
    found = fit_platt(score, y)
    assert found.slope == 0.05
    assert found.apply(score).mean() == pytest.approx(y.mean(), abs=1e-3)


def test_a_score_that_is_no_number_is_named() -> None:
    with pytest.raises(ModelError, match="1 of them and 0 outcomes are not finite"):
        fit_platt(np.array([0.0, np.nan, 1.0]), np.array([0.0, 1.0, 1.0]))


def test_beta_by_hand() -> None:
    # s = expit(log 3) = .75: 2 * log(.75) - .5 * log(.25) + .1 = -.5754 + .6931 + .1 = .2178; expit -> .5542
    found = Calibration("beta", slope=2.0, upper_slope=0.5, intercept=0.1)
    assert found.apply(np.array([math.log(3)]))[0] == pytest.approx(
        expit(2 * math.log(0.75) - 0.5 * math.log(0.25) + 0.1)
    )
    assert found.apply(np.array([math.log(3)]))[0] == pytest.approx(0.5542, abs=1e-4)


def test_beta_finds_both_slopes_again() -> None:
    random = np.random.default_rng(4)
    score = random.normal(size=80_000) * 2
    truth = Calibration("beta", slope=0.6, upper_slope=1.5, intercept=-0.4)
    y = (random.random(len(score)) < truth.apply(score)).astype(float)
    found = fit_beta(score, y)
    assert (found.slope, found.upper_slope, found.intercept) == pytest.approx((0.6, 1.5, -0.4), abs=0.08)


def test_a_spline_follows_a_bend_that_no_line_can() -> None:
    random = np.random.default_rng(5)
    score = random.uniform(-4, 4, 40_000)
    truth = expit(np.where(score < 0, 0.2 * score, 1.5 * score) - 1)
    y = (random.random(len(score)) < truth).astype(float)
    bent, line = fit_spline(score, y), fit_platt(score, y)
    assert np.abs(bent.apply(score) - truth).mean() < 0.4 * np.abs(line.apply(score) - truth).mean()
    assert ece(y, bent.apply(score)) < ece(y, line.apply(score))


def test_a_spline_of_few_rows_is_nearly_a_line() -> None:
    score, y = _sample(6, 40, 0.0, 2.0, 9)
    at = np.linspace(score.min(), score.max(), 50)
    odds = logit(fit_spline(score, y).apply(at))
    line = np.polyval(np.polyfit(at, odds, 1), at)
    assert np.abs(odds - line).max() < 0.1 * np.ptp(line)


def test_one_class_alone_gives_a_finite_line() -> None:
    found = fit_platt(np.linspace(-2, 2, 50), np.zeros(50))
    assert np.isfinite(found.apply(np.array([-5.0, 5.0]))).all()


@given(st.integers(0, 10_000))
def test_knots_rise_and_stay_inside_zero_and_one(seed: int) -> None:
    random = np.random.default_rng(seed)
    score = random.normal(size=600).round(1)
    y = (random.random(600) < 0.3).astype(float)
    found = fit_isotonic(score, y, least_rows=50)
    assert (np.diff(found.x) > 0).all()
    assert (np.diff(found.y) >= 0).all()
    assert 0 < min(found.y) <= max(found.y) < 1


def test_knots_are_chosen_when_the_truth_is_a_step() -> None:
    random = np.random.default_rng(2)
    score = random.uniform(-3, 3, 20_000)
    y = (random.random(20_000) < np.where(score > 0, 0.6, 0.2)).astype(float)
    found, losses = choose_calibration(score, y, random.integers(0, 5, 20_000))
    assert set(losses) == set(FITS)
    assert found.kind == min(losses, key=lambda kind: losses[kind]) == "isotonic"


def test_beta_or_spline_is_chosen_when_the_ends_differ() -> None:
    random = np.random.default_rng(8)
    score = random.normal(size=60_000) * 2
    truth = Calibration("beta", slope=0.4, upper_slope=1.8, intercept=-0.4)
    y = (random.random(len(score)) < truth.apply(score)).astype(float)
    found, losses = choose_calibration(score, y, random.integers(0, 5, len(score)))
    assert found.kind in {"beta", "spline"}
    assert losses["beta"] < losses["platt"]


def _bent_at_first(rows: int = 40_000) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """A step on the earlier three of six dates; a plain line on the later three."""
    random = np.random.default_rng(4)
    score, dates = random.uniform(-3, 3, rows), np.arange(rows) % 6
    step, line = np.where(score > 0, 0.75, 0.1), expit(score - 0.3)
    y = (random.random(rows) < np.where(dates < 3, step, line)).astype(float)
    return score, y, random.integers(0, 5, rows), dates


def test_a_bend_of_the_earlier_dates_alone_is_not_chosen() -> None:
    score, y, fold, dates = _bent_at_first()
    bent, mixed = choose_calibration(score, y, fold)
    straight, in_time = choose_calibration(score, y, fold, dates=dates)
    # Over all dates the step is half true, so people alone choose to bend; later dates show that it has gone.
    assert bent.kind != "platt"
    assert straight.kind == "platt" == min(in_time, key=lambda kind: in_time[kind])
    assert mixed["isotonic"] < mixed["platt"]
    # The chosen kind is fitted on all of the dates.
    assert straight == fit_platt(score, y)


def test_the_kind_is_judged_on_the_later_dates_by_other_people() -> None:
    score, y, fold, dates = _bent_at_first(6_000)
    _, losses = choose_calibration(score, y, fold, dates=dates)
    held_out = np.empty(len(score))
    for part in range(5):
        held_out[fold == part] = fit_beta(score[(fold != part) & (dates < 3)], y[(fold != part) & (dates < 3)]).apply(
            score[fold == part]
        )
    assert losses["beta"] == pytest.approx(log_loss(y[dates >= 3], held_out[dates >= 3]))
    # Only the order of the halves counts.
    assert choose_calibration(score, y, fold, dates=np.where(dates < 3, 0, 1))[1] == losses


def test_members_alone_choose_where_time_cannot_part_them() -> None:
    score, y, fold, _ = _bent_at_first(6_000)
    alone = choose_calibration(score, y, fold)
    assert choose_calibration(score, y, fold, dates=np.zeros(6_000)) == alone
    few = np.ones(6_000)
    few[:60] = 0  # the earlier date has fewer than fifty events
    assert choose_calibration(score, y, fold, dates=few) == alone


def test_few_events_take_the_line() -> None:
    score, y = np.linspace(-1, 1, 500), np.r_[np.zeros(480), np.ones(20)]
    found, losses = choose_calibration(score, y, np.arange(500) % 5)
    assert found.kind == "platt"
    assert losses == {}


def test_a_calibration_stored_before_beta_existed_is_read() -> None:
    stored = {"kind": "platt", "slope": 0.9, "intercept": -0.2, "x": [], "y": []}
    found = Calibration.from_json(stored)
    assert found == Calibration("platt", slope=0.9, intercept=-0.2)
    assert found.to_json() == stored
