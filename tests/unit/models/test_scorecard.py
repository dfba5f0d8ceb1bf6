from __future__ import annotations

import math

import numpy as np
import pytest

from models.metrics import auc
from models.scorecard import Scorecard, default_lightgbm, past_due_curve
from puntual.errors import ModelError


def _rows(rows: int = 4000) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(3)
    x = random.normal(size=(rows, 3))
    x[::7, 1] = np.nan
    return x, (random.random(rows) < 1 / (1 + np.exp(-2 * x[:, 0]))).astype(float)


def test_the_scorecard_learns_and_reads_missing_values() -> None:
    x, y = _rows()
    card = Scorecard().fit(x[:3000], y[:3000])
    assert auc(y[3000:], card.predict(x[3000:])) > 0.8
    assert np.isfinite(card.predict(np.full((2, 3), np.nan))).all()


def test_a_bin_weighs_its_evidence() -> None:
    # One column of two values: 30 of 100 and 10 of 100 with the event; each share is drawn to even by one row.
    # log((30 + 1) / (40 + 2)) - log((70 + 1) / (160 + 2)) = .5213 and log(11 / 42) - log(91 / 162) = -.7630
    x = np.r_[np.zeros(100), np.ones(100)][:, None]
    y = np.r_[np.ones(30), np.zeros(70), np.ones(10), np.zeros(90)]
    card = Scorecard(bins=2, regularization=1e6).fit(x, y)
    encoder = card._pipeline.named_steps["woeencoder"]
    found = sorted(set(encoder.transform(card._binned(x))[0].round(4)))
    assert found == [round(math.log(11 / 42) - math.log(91 / 162), 4), round(math.log(31 / 42) - math.log(71 / 162), 4)]
    # Without a pull the two rates come out again.
    assert card.predict(np.array([[0.0], [1.0]])) == pytest.approx([0.3, 0.1], abs=1e-3)


def test_a_scorecard_of_one_outcome_is_refused() -> None:
    with pytest.raises(ModelError, match="with and without the event"):
        Scorecard().fit(np.zeros((10, 1)), np.zeros(10))


def test_default_lightgbm_learns_and_repeats_itself() -> None:
    x, y = _rows()
    first = default_lightgbm(x[:3000], y[:3000], x[3000:])
    assert auc(y[3000:], first) > 0.8
    np.testing.assert_array_equal(first, default_lightgbm(x[:3000], y[:3000], x[3000:]))


def test_past_due_days_alone_give_a_rising_curve() -> None:
    random = np.random.default_rng(3)
    days = random.integers(0, 90, 4000).astype(float)
    late = (random.random(4000) < days / 100).astype(float)
    curve = past_due_curve(days, late)
    assert auc(late, curve.apply(days)) > 0.75
    assert (np.diff(curve.apply(np.arange(90.0))) >= 0).all()
