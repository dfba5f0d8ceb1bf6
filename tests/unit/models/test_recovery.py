"""Expected recovery: totals that come true, intervals that cover, and a library's arithmetic beside ours."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import date, timedelta

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from models.recovery.card import render
from models.recovery.columns import RECOVERY_FEATURES, recovery_frame
from models.recovery.conformal import SumSpread, conformal_quantile, conformity, sum_spread
from models.recovery.score import RecoveryModel, RecoveryOff, owed_amount
from models.recovery.settings import RecoverySettings
from models.recovery.train import labelled, train
from models.registry import ModelRegistry
from puntual.errors import ModelError
from tests.unit.models.conftest import blank

AS_OF = date(2026, 6, 30)
SETTINGS = RecoverySettings(n_jobs=1)


def rows_of(day: date, members: int, random: np.random.Generator) -> pd.DataFrame:
    frame = blank(RECOVERY_FEATURES, members, random)
    frame["as_of_date"] = pd.Timestamp(day)
    frame["customer_id"] = [f"C{i:06d}" for i in range(members)]
    frame["is_eligible"] = True
    frame["past_due_days"] = random.integers(0, 90, members)
    frame["owed_within_horizon_amount"] = random.gamma(4.0, 40.0, members).round(2) + 20
    frame["near_outstanding_principal_amount"] = 5_000.0
    frame["on_time_rate_364d"] = random.random(members)
    return frame


def paid_by(rows: pd.DataFrame, random: np.random.Generator, level: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """What members pay, and what was to be expected: nothing or about what is owed, more often with a good record."""
    pays = 1 / (1 + np.exp(-(-1.5 + 4 * rows["on_time_rate_364d"].to_numpy() - rows["past_due_days"].to_numpy() / 45)))
    owed = rows["owed_within_horizon_amount"].to_numpy()
    chance = np.clip(level * pays, 0, 1)
    share = np.where(random.random(len(rows)) < chance, random.uniform(0.4, 1.2, len(rows)), 0.0)
    return (owed * share).round(2), owed * chance * 0.8


def world(members: int = 500, dates: int = 14, seed: int = 0) -> tuple[pd.DataFrame, pd.DataFrame]:
    random = np.random.default_rng(seed)
    frames, labels = [], []
    for k in range(dates, 0, -1):
        rows = rows_of(AS_OF - timedelta(days=8 + 28 * k), members, random)
        frames.append(rows)
        labels.append(rows[["as_of_date", "customer_id"]].assign(recovered_amount=paid_by(rows, random)[0]))
    return pd.concat(frames, ignore_index=True), pd.concat(labels, ignore_index=True)


@pytest.fixture(scope="module")
def model() -> RecoveryModel:
    found = train(*world(), as_of=AS_OF, settings=SETTINGS)
    assert isinstance(found, RecoveryModel)
    return found


def test_the_total_comes_true_and_members_lie_within_their_interval(model: RecoveryModel) -> None:
    random = np.random.default_rng(99)
    today = rows_of(AS_OF, 6_000, random)
    paid, truth = paid_by(today, random)
    scores = model.predict(today)
    said = scores["expected_recovery_amount"].to_numpy()
    assert abs(said.sum() / truth.sum() - 1) < 0.05
    assert np.corrcoef(said, truth)[0, 1] > 0.95
    inside = (scores["low"] <= paid) & (paid <= scores["high"])
    assert 0.88 <= inside.mean() <= 0.97
    assert (scores["low"] <= scores["expected_recovery_amount"]).all()
    assert (scores["expected_recovery_amount"] <= scores["high"]).all()
    assert (scores["low"] >= 0).all()
    assert (scores["high"] <= owed_amount(today) + 5_000 + 0.01).all(), "nobody pays more than all that is left"


def test_totals_add_up_and_their_interval_holds_the_truth(model: RecoveryModel) -> None:
    random = np.random.default_rng(5)
    held = []
    for _ in range(20):
        today = rows_of(AS_OF, 800, random)
        paid, _ = paid_by(today, random)
        scores = model.predict(today)
        totals = model.totals(today, scores, today["province"])
        whole = totals[totals["grain_code"] == "total"].iloc[0]
        for grain in ("branch", "segment"):
            part = totals[totals["grain_code"] == grain]
            assert part["expected_recovery_amount"].sum() == pytest.approx(whole["expected_recovery_amount"], abs=0.1)
            assert part["member_count"].sum() == whole["member_count"] == 800
        held.append(whole["low"] <= paid.sum() <= whole["high"])
    assert np.mean(held) >= 0.8


def test_the_back_test_is_in_the_card(model: RecoveryModel) -> None:
    card = model.card
    assert len(card["backtest"]) == 7 and card["metrics"]["portfolio_error"] < 0.08
    assert card["metrics"]["explained_share"] > card["metrics"]["owed_alone_explained_share"]
    assert 0.8 <= card["metrics"]["member_coverage_90%"] <= 1
    page = render(card)
    assert "Retroprueba" in page and "http" not in page


def test_a_large_book_loses_members_and_no_month() -> None:
    rows, labels = world(members=200)
    some = labelled(rows, labels, as_of=AS_OF, settings=replace(SETTINGS, most_rows=700))
    whole = labelled(rows, labels, as_of=AS_OF, settings=SETTINGS)
    assert 0 < len(some) <= 700 < len(whole)
    assert set(some["as_of_date"]) == set(whole["as_of_date"])
    kept = whole[whole["customer_id"].isin(set(some["customer_id"]))]
    assert len(kept) == len(some)  # who is in is in on every date


def test_labels_of_later_dates_change_nothing() -> None:
    rows, labels = world(members=150)
    when = AS_OF - timedelta(days=100)
    later = labels["as_of_date"] + pd.Timedelta(days=30) >= pd.Timestamp(when)
    known = train(rows[~later.to_numpy()], labels[~later], as_of=when, settings=SETTINGS)
    past = rows["as_of_date"] <= pd.Timestamp(when)
    turned = labels.assign(recovered_amount=labels["recovered_amount"].where(~later, 9_999.0))
    again = train(rows[past], turned[past.to_numpy()], as_of=when, settings=SETTINGS)
    assert isinstance(known, RecoveryModel) and isinstance(again, RecoveryModel)
    assert again.version == known.version
    with pytest.raises(ModelError, match="dated after"):
        train(rows, labels, as_of=when, settings=SETTINGS)


def test_with_little_history_it_is_off_and_says_why() -> None:
    rows, labels = world(members=30, dates=3)
    found = train(rows, labels, as_of=AS_OF, settings=SETTINGS)
    assert isinstance(found, RecoveryOff) and "90 members and 3 dates" in found.reason


def test_only_eligible_members_with_near_loans_are_scored() -> None:
    random = np.random.default_rng(0)
    whole = rows_of(AS_OF, 4, random)
    extras = ["as_of_date", "customer_id", *RECOVERY_FEATURES.names[-5:]]
    customers = whole.drop(columns=list(RECOVERY_FEATURES.names[-5:])).assign(is_eligible=[True, False, True, True])
    assert recovery_frame(customers, whole[extras].iloc[:3])["customer_id"].tolist() == ["C000000", "C000002"]
    with pytest.raises(ModelError, match="twice"):
        recovery_frame(customers, pd.concat([whole[extras], whole[extras]]))


def test_it_is_stored_whole(model: RecoveryModel, tmp_path) -> None:
    registry = ModelRegistry(tmp_path)
    registry.promote("recovery", registry.register("recovery", model), reason="test", decided_on=AS_OF)
    rows = rows_of(AS_OF, 50, np.random.default_rng(3))
    pd.testing.assert_frame_equal(registry.champion("recovery").predict(rows), model.predict(rows))


def test_the_order_statistic_and_the_shift() -> None:
    assert conformity(np.array([5.0, 1.0, 12.0]), np.full(3, 2.0), np.full(3, 10.0)).tolist() == [-3.0, 1.0, 2.0]
    assert conformal_quantile(np.array([3.0, 1.0, 2.0, 4.0]), 0.6) == 3.0  # ceil(5 x 0.6) = 3rd
    assert conformal_quantile(np.array([3.0, 1.0]), 0.9) == 3.0  # there is no 3rd of two: the largest


def test_ours_is_the_interval_of_mapie() -> None:
    from mapie.regression import ConformalizedQuantileRegressor
    from sklearn.base import BaseEstimator, RegressorMixin

    class Fixed(RegressorMixin, BaseEstimator):
        """A quantile that is the first column plus a constant."""

        def __init__(self, add: float = 0.0) -> None:
            self.add = add

        def fit(self, X: np.ndarray, y: np.ndarray) -> Fixed:
            self.fitted_ = True
            return self

        def predict(self, X: np.ndarray) -> np.ndarray:
            return X[:, 0] + self.add

    random = np.random.default_rng(0)
    x = random.normal(size=(300, 1))
    y = x[:, 0] + random.normal(size=300)
    parts = [Fixed(add).fit(x, y) for add in (-1.0, 1.0, 0.0)]
    theirs = ConformalizedQuantileRegressor(parts, confidence_level=0.9, prefit=True).conformalize(x[:200], y[:200])
    _, bounds = theirs.predict_interval(x[200:], symmetric_correction=True)
    shift = conformal_quantile(conformity(y[:200], x[:200, 0] - 1, x[:200, 0] + 1), 0.9)
    np.testing.assert_allclose(bounds[:, 0, 0], x[200:, 0] - 1 - shift)
    np.testing.assert_allclose(bounds[:, 1, 0], x[200:, 0] + 1 + shift)


def test_the_spread_of_a_sum_has_two_parts() -> None:
    spread = SumSpread(dispersion=0.5, common=0.1, dates=9)
    mean, owed = np.array([10.0, 30.0]), np.array([20.0, 60.0])
    # own: 0.5 x (200 + 1800) = 1000; common: (0.1 x 40)^2 = 16
    value, low, high = spread.interval(mean, owed, 0.9)
    reach = stats.t.ppf(0.95, 8) * math.sqrt(1016)
    assert (value, low) == (40.0, 0.0) and high == pytest.approx(40 + reach)


def test_what_everybody_shares_is_seen_in_the_totals() -> None:
    random = np.random.default_rng(1)
    days = np.repeat(np.arange(40), 500)
    mean, owed = np.full(20_000, 50.0), np.full(20_000, 100.0)
    moved = np.repeat(1 + 0.1 * random.choice([-1.0, 1.0], 40), 500)
    paid = np.where(random.random(20_000) < 0.5 * moved, 100.0, 0.0)
    found = sum_spread(days, paid, mean, owed)
    assert found.dispersion == pytest.approx(0.5, rel=0.05)  # 100 x 100 x 1/4 over 50 x 100
    assert found.common == pytest.approx(0.1, abs=0.02)
    alone = np.where(random.random(20_000) < 0.5, 100.0, 0.0)
    assert sum_spread(days, alone, mean, owed).common < 0.02


def test_the_level_follows_the_newest_dates_only_as_far_as_it_helped_before() -> None:
    rows, labels = world(members=200)
    steady = train(rows, labels, as_of=AS_OF, settings=SETTINGS)
    assert isinstance(steady, RecoveryModel) and abs(steady.level - 1) < 0.1
    never = train(rows, labels, as_of=AS_OF, settings=replace(SETTINGS, correction_weights=(0.0,)))
    assert isinstance(never, RecoveryModel) and never.level == 1.0
    dates = np.sort(labels["as_of_date"].unique())
    fall = labels["as_of_date"].map({day: 1.0 if k < 6 else 0.6 for k, day in enumerate(dates)})
    fallen = train(
        rows, labels.assign(recovered_amount=labels["recovered_amount"] * fall), as_of=AS_OF, settings=SETTINGS
    )
    assert isinstance(fallen, RecoveryModel) and fallen.level < 0.97
