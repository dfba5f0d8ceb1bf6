"""Kept promises: calibrated on a world whose probabilities are known, blind to the future, modest when little is known."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import pandas as pd
import pytest

from models.calibration import choose_calibration
from models.kept_promise import train as train_module
from models.kept_promise.card import render
from models.kept_promise.columns import PROMISE_FEATURES
from models.kept_promise.score import KeptPromiseModel, member_rate
from models.kept_promise.settings import KeptPromiseSettings
from models.kept_promise.train import fit, promise_rows, train
from models.metrics import auc, ece
from models.registry import ModelRegistry
from puntual.errors import ModelError
from tests.unit.models.conftest import blank

AS_OF = date(2026, 6, 30)
SETTINGS = KeptPromiseSettings(n_jobs=1, bootstrap_draws=20)


def world(promises: int, seed: int = 0, *, last: date = AS_OF) -> tuple[pd.DataFrame, pd.DataFrame, np.ndarray]:
    """Looks on the day each promise was made, labels, and the true probability: fewer days left, a worse record, less."""
    random = np.random.default_rng(seed)
    rows = blank(PROMISE_FEATURES, promises, random)
    rows["promise_id"] = [f"P{i:06d}" for i in range(promises)]
    rows["customer_id"] = [f"C{i:06d}" for i in random.integers(0, max(promises // 3, 1), promises)]
    rows["is_score"] = False
    days = random.integers(3, 12, promises)
    ages = random.integers(1, 360, promises) + days
    rows["as_of_date"] = [pd.Timestamp(last - timedelta(days=int(age))) for age in ages]
    rows["days_to_grace_end"] = days
    rows["settled_promise_count_364d"] = random.integers(0, 6, promises)
    rows["kept_promise_rate_364d"] = np.where(rows["settled_promise_count_364d"] > 0, random.random(promises), np.nan)
    record = np.nan_to_num(rows["kept_promise_rate_364d"].to_numpy(), nan=0.5)
    truth = 1 / (1 + np.exp(-(-2.6 + 0.2 * days + 3.0 * record)))
    labels = pd.DataFrame(
        {
            "promise_id": rows["promise_id"],
            "customer_id": rows["customer_id"],
            "made_date": rows["as_of_date"],
            "grace_end_date": rows["as_of_date"] + pd.to_timedelta(days, unit="D"),
            "is_kept": random.random(promises) < truth,
        }
    )
    return rows, labels, truth


@pytest.fixture(scope="module")
def trained() -> KeptPromiseModel:
    rows, labels, _ = world(6_000)
    return train(rows, labels, as_of=AS_OF, settings=SETTINGS)


def test_probabilities_are_near_the_true_ones(trained: KeptPromiseModel) -> None:
    later, labels, truth = world(4_000, seed=1)
    said = trained.probability(later)
    kept = labels["is_kept"].to_numpy(dtype=float)
    assert trained.kind == "boosted"
    assert np.abs(said - truth).mean() < 0.05
    assert ece(kept, said) < 0.04
    assert auc(kept, said) > auc(kept, truth) - 0.02
    found = trained.card["evaluation"]["metrics"]
    assert found["puntual"]["brier"]["value"] < found["member_rate"]["brier"]["value"]


def test_the_calibration_is_judged_by_later_dates(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[np.ndarray] = []

    def chosen(score: np.ndarray, outcome: np.ndarray, fold: np.ndarray, *, dates: np.ndarray) -> tuple:
        assert len(dates) == len(score) == len(outcome) == len(fold)
        seen.append(dates)
        return choose_calibration(score, outcome, fold, dates=dates)

    monkeypatch.setattr(train_module, "choose_calibration", chosen)
    rows, labels, _ = world(1_500)
    settled = promise_rows(rows, labels, as_of=AS_OF)
    model = fit(settled, as_of=AS_OF, settings=SETTINGS, seed=0)
    assert model.kind == "boosted"
    newest = np.sort(settled.table["as_of_date"].to_numpy())[round(1_500 * (1 - SETTINGS.calibration_share)) :]
    np.testing.assert_array_equal(seen[0], newest)


def test_what_is_settled_later_changes_nothing() -> None:
    rows, labels, _ = world(1_500)
    when = AS_OF - timedelta(days=90)
    settled = labels["grace_end_date"] < pd.Timestamp(when)
    assert 0 < settled.sum() < len(labels)
    known = train(rows, labels[settled], as_of=when, settings=SETTINGS)
    turned = labels.assign(is_kept=labels["is_kept"] ^ ~settled)
    assert train(rows, turned, as_of=when, settings=SETTINGS).version == known.version


def test_a_look_after_the_fate_was_known_is_refused() -> None:
    rows, labels, _ = world(50)
    late = rows.assign(as_of_date=labels["grace_end_date"])
    with pytest.raises(ModelError, match="last grace day"):
        train(late, labels, as_of=AS_OF, settings=SETTINGS)
    with pytest.raises(ModelError, match="twice"):
        train(pd.concat([rows, rows]), labels, as_of=AS_OF, settings=SETTINGS)


def test_with_few_promises_the_members_record_stands_drawn_to_the_rest() -> None:
    rows, labels, _ = world(100)
    labels["is_kept"] = np.arange(100) < 70
    model = train(rows, labels, as_of=AS_OF, settings=SETTINGS)
    assert model.kind == "rate" and model.booster is None
    assert model.rate == pytest.approx((70 + 0.5 * 20) / (100 + 20))  # 2/3
    one = rows.head(2).assign(settled_promise_count_364d=[5, 0], kept_promise_rate_364d=[0.2, np.nan])
    # one kept of five, drawn with the weight of four promises: (1 + 4 x 2/3) / (5 + 4); no record: the rate itself
    assert model.probability(one).tolist() == pytest.approx([(1 + 4 * 2 / 3) / 9, 2 / 3])
    assert member_rate(one, 0.5, 4.0).tolist() == pytest.approx([3 / 9, 0.5])


def test_without_any_promise_it_is_one_half_and_the_card_says_so() -> None:
    rows, labels, _ = world(5)
    model = train(rows.head(0), labels.head(0), as_of=AS_OF, settings=SETTINGS)
    assert model.kind == "rate" and model.rate == 0.5
    assert "Not judged" in render(model.card)


def test_trees_that_are_worse_than_the_record_give_way(monkeypatch: pytest.MonkeyPatch) -> None:
    from models.kept_promise import card as card_module

    rows, labels, _ = world(2_000)
    monkeypatch.setattr(
        card_module,
        "member_rate",
        lambda table, overall, weight: np.full(len(table), np.nan),
    )
    assert train(rows, labels, as_of=AS_OF, settings=SETTINGS).kind == "boosted", "nothing can be compared with NaN"
    perfect = labels.set_index("promise_id")["is_kept"].astype(float)
    monkeypatch.setattr(
        card_module,
        "member_rate",
        lambda table, overall, weight: perfect.reindex(table["promise_id"]).to_numpy(),
    )
    assert train(rows, labels, as_of=AS_OF, settings=SETTINGS).kind == "rate"


def test_a_promise_without_a_day_left_cannot_be_kept(trained: KeptPromiseModel) -> None:
    rows, _, _ = world(20, seed=2)
    scores = trained.predict(rows.assign(days_to_grace_end=[0] * 10 + [5] * 10))
    by_id = scores.set_index("promise_id")["kept_probability"].reindex(rows["promise_id"]).to_numpy()
    assert (by_id[:10] == 0).all() and (by_id[10:] > 0).all()
    assert list(scores["promise_id"]) == list(scores.sort_values(["as_of_date", "promise_id"])["promise_id"])


def test_it_is_stored_whole_and_the_same_twice(trained: KeptPromiseModel, tmp_path) -> None:
    again = train(*world(6_000)[:2], as_of=AS_OF, settings=SETTINGS)
    assert again.to_files() == trained.to_files()
    registry = ModelRegistry(tmp_path)
    version = registry.register("kept_promise", trained)
    registry.promote("kept_promise", version, reason="test", decided_on=AS_OF)
    loaded = registry.champion("kept_promise")
    rows, _, _ = world(50, seed=3)
    pd.testing.assert_frame_equal(loaded.predict(rows), trained.predict(rows))
    page = render(trained.card)
    assert "http" not in page and "Promesa cumplida" in page
