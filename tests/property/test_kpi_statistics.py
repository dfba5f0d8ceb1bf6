"""What must hold of the estimates behind the KPIs whatever the data."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from puntual.kpis.statistics import kaplan_meier, mean_difference, rank_biased_overlap, shrink

SPELLS = st.lists(st.tuples(st.integers(1, 60), st.booleans()), min_size=1, max_size=60)


@given(SPELLS)
def test_survival_falls_and_stays_between_one_and_nothing(spells: list[tuple[int, bool]]) -> None:
    shares = [1.0, *(share for _, share in kaplan_meier(*zip(*spells, strict=True)))]
    assert all(0 <= after <= before <= 1 for before, after in itertools.pairwise(shares))


@given(st.lists(st.integers(1, 60), min_size=1, max_size=60))
def test_survival_without_censoring_is_the_share_that_lasted_longer(days: list[int]) -> None:
    for day, share in kaplan_meier(days, [True] * len(days)):
        assert share == pytest.approx(sum(lasted > day for lasted in days) / len(days))


@given(SPELLS)
def test_survival_is_what_scipy_says(spells: list[tuple[int, bool]]) -> None:
    days, events = (np.array(column) for column in zip(*spells, strict=True))
    censored = stats.CensoredData.right_censored(days.astype(float), ~events)
    expected = stats.ecdf(censored).sf
    for day, share in kaplan_meier(days, events):
        assert share == pytest.approx(float(expected.evaluate(day)))


@given(
    st.lists(st.tuples(st.floats(-5, 5), st.floats(0.001, 5)), min_size=1, max_size=20),
)
def test_shrunk_lies_between_its_own_figure_and_the_mean(pairs: list[tuple[float, float]]) -> None:
    effects, variances = (np.array(column) for column in zip(*pairs, strict=True))
    found = shrink(effects, variances)
    low, high = np.minimum(effects, found.prior), np.maximum(effects, found.prior)
    assert (found.value >= low - 1e-9).all()
    assert (found.value <= high + 1e-9).all()
    assert (found.low <= found.value).all()
    assert effects.min() - 1e-9 <= found.prior <= effects.max() + 1e-9


@given(st.lists(st.integers(0, 30), unique=True, max_size=20), st.lists(st.integers(0, 30), unique=True, max_size=20))
def test_overlap_is_a_share_and_has_no_direction(one: list[int], other: list[int]) -> None:
    first, second = [str(name) for name in one], [str(name) for name in other]
    if not first and not second:
        return
    found = rank_biased_overlap(first, second)
    assert 0 <= found <= 1 + 1e-12
    assert found == pytest.approx(rank_biased_overlap(second, first))


@settings(deadline=None)
@given(st.integers(0, 10_000), st.floats(-20, 20))
def test_a_difference_moves_with_the_outcome_of_the_treated(seed: int, shift: float) -> None:
    random = np.random.default_rng(seed)
    treated = np.array([True, False] * 20)
    outcome, chance, covariate = random.normal(size=40), random.uniform(0.1, 0.9, 40), random.normal(size=40)
    base = mean_difference(outcome, treated, chance)
    moved = mean_difference(outcome + shift * treated, treated, chance)
    assert moved[0] - base[0] == pytest.approx(shift, abs=1e-9)
    assert moved[2] - moved[1] == pytest.approx(base[2] - base[1])
    # The adjustment may not make a difference of means out of nothing: a covariate equal in everyone changes nothing.
    assert mean_difference(outcome, treated, chance, covariate=np.ones(40)) == base
    assert (
        mean_difference(outcome, treated, chance, covariate=covariate)[1]
        < mean_difference(outcome, treated, chance, covariate)[2]
    )
