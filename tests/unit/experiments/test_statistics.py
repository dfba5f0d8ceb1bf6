"""The statistics of experiments: by hand, and over hundreds of simulated experiments that are peeked at all the time."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from puntual.experiments.statistics import (
    SAMPLE_RATIO_ALPHA,
    Difference,
    difference,
    sample_ratio,
    slope,
    widening,
)

RUNS = 500


def payments(random: np.random.Generator, treated: np.ndarray) -> np.ndarray:
    """Most pay nothing, some pay log-normal amounts: mean (0.35 or 0.30) * exp(4.5)."""
    pays = random.random(len(treated)) < np.where(treated, 0.35, 0.30)
    return np.where(pays, random.lognormal(4.0, 1.0, len(treated)), 0.0)


TRUTH = 0.05 * np.exp(4.5)


def test_by_hand() -> None:
    y = np.array([10.0, 14.0, 3.0, 5.0, 4.0])
    treated = np.array([True, True, False, False, False])
    found = difference(y, treated)
    # 12 - 4; variances 8 / 2 and 1 / 3
    assert found.value == 8.0 and found.error == pytest.approx(np.sqrt(4 + 1 / 3)) and found.size == 5
    assert found.fixed(0.05) == pytest.approx((8 - 1.959964 * found.error, 8 + 1.959964 * found.error), abs=1e-5)


def test_cuped_by_hand() -> None:
    y = np.array([10.0, 14.0, 3.0, 5.0])
    x = np.array([1.0, 3.0, 1.0, 2.0])
    treated = np.array([True, True, False, False])
    # within the arms: x -1, 1, -.5, .5 and y -2, 2, -1, 1: slope (2 + 2 + .5 + .5) / (1 + 1 + .25 + .25) = 2
    assert slope(y, x, treated) == pytest.approx(2.0)
    # mean x 2 and 1.5: the difference 12 - 4 loses 2 * 0.5, and nothing is left to scatter
    assert difference(y, treated, x) == Difference(pytest.approx(7.0), pytest.approx(0.0), 4)
    assert difference(y, treated, np.ones(4)) == difference(y, treated)


def test_the_sequence_is_narrowest_where_it_was_tuned_and_wider_than_one_look() -> None:
    widths = [widening(size, 0.05, 2000) / np.sqrt(size) for size in range(100, 20_001, 100)]
    assert all(later < earlier for earlier, later in pairwise(widths))
    for size in (500, 2000, 8000):
        others = [widening(size, 0.05, tuned) for tuned in (size // 4, size // 2, size * 2, size * 4)]
        assert widening(size, 0.05, size) < min(others)
    # u = log((u + 1) / alpha^2): at the tuned size the width is sqrt((u + 1) / u * u) = sqrt(u + 1)
    u = widening(2000, 0.05, 2000) ** 2 - 1
    assert u == pytest.approx(np.log((u + 1) / 0.0025))


def test_peeking_fools_the_fixed_interval_and_not_the_sequence() -> None:
    """A look after every member from 100 in each arm on, to 4000: misses of the truth at any look, in 500 runs."""
    random = np.random.default_rng(1)
    size = 4000
    width = np.array([widening(int(count), 0.05, 2000) for count in range(1, size + 1)])
    ever_sequence = ever_fixed = 0
    for _ in range(RUNS):
        treated = random.random(size) < 0.8
        y = payments(random, treated)
        n1, n0 = np.cumsum(treated), np.cumsum(~treated)
        looks = (n1 >= 100) & (n0 >= 100)
        n1, n0 = n1[looks], n0[looks]
        mean1, mean0 = np.cumsum(y * treated)[looks] / n1, np.cumsum(y * ~treated)[looks] / n0
        square1, square0 = np.cumsum(y**2 * treated)[looks] / n1, np.cumsum(y**2 * ~treated)[looks] / n0
        error = np.sqrt((square1 - mean1**2) / (n1 - 1) + (square0 - mean0**2) / (n0 - 1))
        off = np.abs(mean1 - mean0 - TRUTH) / error
        ever_sequence += bool((off > width[looks]).any())
        ever_fixed += bool((off > 1.959964).any())
        last = difference(y, treated)  # the quick sums above are those of the product
        assert (last.value, last.error) == (pytest.approx(mean1[-1] - mean0[-1]), pytest.approx(error[-1]))
    assert ever_sequence <= 0.05 * RUNS
    assert ever_fixed >= 0.2 * RUNS


def test_one_planned_look_is_right_as_often_as_it_says() -> None:
    random = np.random.default_rng(2)
    misses = 0
    for _ in range(RUNS):
        treated = random.random(2000) < 0.8
        low, high = difference(payments(random, treated), treated).fixed(0.05)
        misses += not low <= TRUTH <= high
    assert 0.02 * RUNS <= misses <= 0.085 * RUNS


def test_cuped_narrows_and_stays_unbiased() -> None:
    random = np.random.default_rng(3)
    plain, adjusted, covered = [], [], 0
    for _ in range(RUNS):
        treated = random.random(1500) < 0.8
        before = random.lognormal(4.0, 0.8, 1500)
        y = 0.6 * before + random.normal(0, 30, 1500) + 5.0 * treated
        plain.append(difference(y, treated))
        adjusted.append(difference(y, treated, before))
        low, high = adjusted[-1].fixed(0.05)
        covered += low <= 5.0 <= high
    reduction = 1 - np.mean([one.error**2 for one in adjusted]) / np.mean([one.error**2 for one in plain])
    # 0.36 var(before) of 0.36 var(before) + 900: var = (e^0.64 - 1) e^(8 + 0.64) = 5065, 0.36 of it is 1823
    assert reduction == pytest.approx(1823 / 2723, abs=0.03)
    standard = np.std([one.value for one in adjusted]) / np.sqrt(RUNS)
    assert np.mean([one.value for one in adjusted]) == pytest.approx(5.0, abs=3.5 * standard)
    assert covered >= 0.93 * RUNS


def test_a_broken_draw_is_found_and_a_fair_one_passes() -> None:
    once, all_looks = sample_ratio([10_400, 9_600], [0.5, 0.5])
    # chi-square 400^2 / 10000 * 2 = 32 with one degree of freedom
    assert once == pytest.approx(1.54e-8, rel=0.01) and all_looks < SAMPLE_RATIO_ALPHA
    assert min(sample_ratio([8_010, 1_990], [0.8, 0.2])) > 0.5
    # a large defect is seen in few members already: 60 of 100 where 80 should be
    assert sample_ratio([60, 40], [0.8, 0.2])[1] < SAMPLE_RATIO_ALPHA < sample_ratio([74, 26], [0.8, 0.2])[1]
    assert sample_ratio([0, 0], [0.5, 0.5]) == (1.0, 1.0)


def test_the_sample_ratio_at_every_look_raises_no_more_false_alarms_than_it_says() -> None:
    random = np.random.default_rng(4)
    looks = np.arange(1000, 20_001, 1000)
    alarms_all, alarms_once, found = 0, 0, 0
    for _ in range(RUNS):
        fair, broken = (np.cumsum(random.random(20_000) < share)[looks - 1] for share in (0.5, 0.52))
        values = [
            sample_ratio([int(one), int(count - one)], [0.5, 0.5]) for one, count in zip(fair, looks, strict=True)
        ]
        alarms_all += min(value for _, value in values) < 0.05
        alarms_once += min(value for value, _ in values) < 0.05
        found += sample_ratio([int(broken[-1]), int(20_000 - broken[-1])], [0.5, 0.5])[1] < SAMPLE_RATIO_ALPHA
    assert alarms_all <= 0.05 * RUNS
    assert alarms_once >= 0.15 * RUNS
    assert found >= 0.85 * RUNS
