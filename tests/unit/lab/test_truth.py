"""The written truth is what the world does when it is lived again."""

from datetime import date

import numpy as np
import pytest

from models.lab.book import OPEN
from models.lab.contacts import Week
from models.lab.future import continue_to_default
from models.lab.settings import CHANNELS, FAMILIES, WorldSettings
from models.lab.simulate import simulate
from models.lab.state import owed_cents
from models.lab.truth import loan_truth
from models.lab.week import NOBODY, step
from models.lab.world import drawn_payment, expected_payment

LIVES = 400


@pytest.fixture(scope="module")
def truth(history):
    return loan_truth(history)


@pytest.fixture(scope="module", params=[name for name in FAMILIES if name != "cooperative"])
def other_history(request):
    settings = FAMILIES[request.param].with_changes(default_replications=2)
    return simulate(members=500, seed=12, as_of=date(2026, 6, 30), settings=settings)


def paid_next_week(history, channel, seed):
    """Cents paid in the coming week by every eligible loan, one row per life, with everybody contacted alike."""
    rows = np.flatnonzero(owed_cents(history.world.book, history.state) > 1)
    lives = history.state.copy_rows(rows, LIVES)
    before = lives.paid.copy()
    week = Week((history.last_day - history.first_day) // 7, history.last_day, np.array([1]), logged=False)
    step(history.world, lives, week, np.random.default_rng(seed), known=history.known, everybody=channel)
    return rows, (lives.paid - before).reshape(LIVES, len(rows)) / 100


def test_gains_equal_the_mean_of_the_world_lived_again(history, truth):
    check_by_experiment(history, truth)


def test_gains_of_every_other_family_are_exact_too(other_history):
    check_by_experiment(other_history, loan_truth(other_history))


def check_by_experiment(history, truth):
    """Everybody is left alone, then everybody contacted through each channel, 400 times over."""
    rows, alone = paid_next_week(history, NOBODY, 100)
    assert truth.loc[truth["eligible"]].index.tolist() == rows.tolist()
    expected = (truth["p_pay_none"] * truth["expected_amount"]).to_numpy()[rows]
    error = alone.mean(axis=0).sum() - expected.sum()
    spread = np.sqrt(alone.var(axis=0).sum() / LIVES)
    assert abs(error) < 4 * spread
    for code, name in enumerate(CHANNELS):
        _, contacted = paid_next_week(history, code, 200 + code)
        gain = truth[f"gain_{name}"].to_numpy()[rows]
        seen = contacted.mean(axis=0) - alone.mean(axis=0)
        spread = np.sqrt((contacted.var(axis=0) + alone.var(axis=0)) / LIVES)
        assert abs(seen.sum() - gain.sum()) < 4 * np.sqrt((spread**2).sum()), name
        score = (seen - gain) / np.maximum(spread, 1e-3)
        # not only in sum: loan by loan the differences are noise of the expected size
        assert 0.8 < np.sqrt(np.mean(score[spread > 0.05] ** 2)) < 1.2, name


def test_expected_payment_is_the_mean_of_drawn_payments():
    rng = np.random.default_rng(1)
    owed, instalment, remaining = 36_000, 15_000, 200_000
    for amount in (owed, 14_000):
        n = 200_000
        draws = drawn_payment(
            np.full(n, amount), np.full(n, instalment), np.full(n, remaining), rng.random(n), rng.random(n)
        )
        mean = expected_payment(np.array([amount]), np.array([instalment]), np.array([remaining]))[0]
        assert abs(draws.mean() - mean) < 4 * draws.std() / np.sqrt(n)


def test_nobody_unreachable_or_without_dues_has_a_gain(history, truth):
    people, book = history.world.people, history.world.book
    for code, name in enumerate(CHANNELS):
        gain = truth[f"gain_{name}"].to_numpy()
        assert (gain[~truth["eligible"].to_numpy()] == 0).all()
        assert (gain[~people.works[book.member, code]] == 0).all()


def test_default_probability_is_higher_where_default_happens(history):
    probability, label = continue_to_default(history, replications=20, weeks=26)
    assert ((probability >= 0) & (probability <= 1)).all()
    is_open = history.state.status == OPEN
    assert (probability[~is_open] == 0).all()
    assert probability[label].mean() > 0.3
    assert abs(probability[is_open].mean() - label[is_open].mean()) < 0.03


def test_chunks_of_lives_only_change_the_draws(history):
    small, _ = continue_to_default(history, replications=30, weeks=10, rows_at_once=3_000)
    large, _ = continue_to_default(history, replications=30, weeks=10)
    assert abs(small.mean() - large.mean()) < 0.01


def test_default_settings_name_every_channel():
    assert set(WorldSettings().cost) == set(CHANNELS)
