from __future__ import annotations

from collections.abc import Callable
from datetime import date
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from models.features import LOAN_FEATURES, encode
from models.limits import alarms, load_limits
from models.metrics import reference_bins
from models.monitoring import matured_measures, reference_of, risk_measures
from pipelines.steps.decided import decided_columns, store_decided
from pipelines.steps.plan import _retraining_alarm
from puntual.warehouse import Warehouse


@pytest.fixture(scope="module")
def rows(loan_world: Callable) -> pd.DataFrame:
    return loan_world(members=800, history_start=date(2026, 6, 1)).today


def _reference(rows: pd.DataFrame, score: np.ndarray) -> dict:
    found = reference_of(LOAN_FEATURES, encode(LOAN_FEATURES, rows, _categories()))
    return found | {"score": reference_bins(score) | {"mean": float(score.mean())}}


def _categories() -> dict[str, list[str]]:
    return {name: ["a", "b", "c"] for name in LOAN_FEATURES.category_names}


def test_the_same_rows_and_scores_measure_nothing(rows: pd.DataFrame) -> None:
    score = np.linspace(0.01, 0.5, len(rows))
    found = risk_measures(_reference(rows, score), LOAN_FEATURES, rows, _categories(), score)
    by = {(measure, detail): value for measure, detail, value in found}
    assert by.pop(("mean_score_ratio", None)) == pytest.approx(1.0)
    assert max(abs(value) for value in by.values()) == pytest.approx(0.0, abs=1e-12)


def test_a_field_that_stops_arriving_and_a_doubled_score_are_measured(rows: pd.DataFrame) -> None:
    score = np.linspace(0.01, 0.5, len(rows))
    reference = _reference(rows, score)
    holes = rows.assign(arrears_amount=rows["arrears_amount"].astype(float).where(np.arange(len(rows)) % 4 > 0))
    found = risk_measures(reference, LOAN_FEATURES, holes, _categories(), score * 2)
    by = {(measure, detail): value for measure, detail, value in found}
    assert by["missing_share_jump", "arrears_amount"] == pytest.approx(0.25)
    assert by["missing_share_jump", "past_due_days"] == pytest.approx(0.0)
    assert by["psi_feature", "arrears_amount"] > 0.25
    assert by["mean_score_ratio", None] == pytest.approx(2.0)
    assert by["psi_score", None] > 0.25


def _with_products(rows: pd.DataFrame, score: np.ndarray, products: np.ndarray) -> tuple[dict, pd.DataFrame]:
    """Rows of these products, and a reference of them that knows the levels of texts."""
    mine = rows.assign(product_code=products)
    matrix = encode(LOAN_FEATURES, mine, _categories())
    found = reference_of(LOAN_FEATURES, matrix, mine)
    return found | {"score": reference_bins(score) | {"mean": float(score.mean())}}, mine


def test_the_same_texts_measure_nothing_and_a_new_product_is_an_alarm(rows: pd.DataFrame) -> None:
    score, count = np.linspace(0.01, 0.5, len(rows)), len(rows)
    products = np.where(np.arange(count) % 3 == 0, "a", "b").astype(object)
    products[:5] = "rare"
    reference, learnt = _with_products(rows, score, products)
    assert reference["product_code"]["levels"] == ["a", "b"]
    assert reference["product_code"]["rare"] == ["rare"]
    limits = load_limits("default_risk")

    def told(today: pd.DataFrame) -> tuple[dict, dict]:
        measured = risk_measures(reference, LOAN_FEATURES, today, _categories(), score)
        found = alarms(limits, "default_risk", "default", measured, version="v1")
        return {one[:2]: one[2] for one in measured}, {(one.measure, one.detail): one for one in found}

    by, alarmed = told(learnt)
    for name in LOAN_FEATURES.category_names:
        assert by["psi_feature", name] == pytest.approx(0.0, abs=1e-12)
        assert by["new_level_share", name] == by["missing_share_jump", name] == 0.0
    assert alarmed == {}
    # One loan in ten is of a product that nobody had: an alarm by its share, a warning by the index.
    launched = products.copy()
    launched[np.arange(count) % 10 == 9] = "new"
    by, alarmed = told(learnt.assign(product_code=launched))
    assert by["new_level_share", "product_code"] == pytest.approx(0.1)
    assert alarmed["new_level_share", "product_code"].severity == "alarm"
    assert "product_code" in alarmed["new_level_share", "product_code"].text_es
    assert alarmed["psi_feature", "product_code"].severity == "warning"
    # More of a product that was rare is not new.
    by, alarmed = told(learnt.assign(product_code=np.where(launched == "new", "rare", launched)))
    assert by["new_level_share", "product_code"] == 0.0
    assert alarmed["psi_feature", "product_code"].severity == "warning"
    # Texts that no longer arrive are missing, not new.
    by, alarmed = told(learnt.assign(product_code=np.where(np.arange(count) % 3 == 0, None, products)))
    assert by["missing_share_jump", "product_code"] == pytest.approx(1 / 3, abs=0.01)
    assert by["new_level_share", "product_code"] == 0.0
    assert alarmed["missing_share_jump", "product_code"].severity == "alarm"
    # Coded anew: every row has another text.
    by, alarmed = told(learnt.assign(product_code="P-" + pd.Series(products, index=learnt.index).astype(str)))
    assert alarmed["psi_feature", "product_code"].severity == "alarm"
    assert by["new_level_share", "product_code"] == 1.0


def test_a_reference_without_texts_stays_readable(rows: pd.DataFrame) -> None:
    score = np.linspace(0.01, 0.5, len(rows))
    found = risk_measures(_reference(rows, score), LOAN_FEATURES, rows, _categories(), score)
    told = {detail for _, detail, _ in found}
    assert "past_due_days" in told
    assert not told & set(LOAN_FEATURES.category_names)


def test_matured_scores_are_measured_against_the_card() -> None:
    random = np.random.default_rng(0)
    p = random.beta(1, 6, 5_000)
    y = (random.random(5_000) < p).astype(float)
    by = {measure: value for measure, _, value in matured_measures(y, p, {"auc": 0.9})}
    assert by["ece"] < 0.02
    assert by["calibration_slope"] == pytest.approx(1.0, abs=0.15)
    assert 0 < by["auc_drop"] < 0.3
    assert matured_measures(y[:50] * 0, p[:50], {"auc": 0.9}) == []


@pytest.mark.parametrize(
    ("day", "alarms", "due"),
    [
        (date(2026, 6, 30), [("2026-06-20", "ece", "champion", True)], True),
        (date(2026, 6, 30), [("2026-06-20", "ece", "champion", False)], False),
        (date(2026, 6, 30), [("2026-06-20", "ece", "retired", True)], False),  # it was champion on that day
        (date(2026, 6, 30), [("2026-05-31", "ece", "champion", True)], False),  # before the training
        (date(2026, 6, 30), [], False),
        (date(2026, 6, 7), [("2026-06-05", "ece", "champion", True)], False),  # six days after the training: too soon
    ],
)
def test_an_alarm_of_the_champion_makes_it_due_once_it_is_old_enough(
    tmp_path, day: date, alarms: list[tuple[str, str, str, bool]], due: bool
) -> None:
    stub = _planned(tmp_path, day)
    for when, measure, version, retrains in alarms:
        row = dict.fromkeys(decided_columns("measured.model_alarms")) | {
            **{"as_of_date": date.fromisoformat(when), "model_name": "default_risk", "measure_code": measure},
            **{"model_version": version, "is_retraining": retrains},
        }
        store_decided(stub.warehouse, "measured.model_alarms", pd.DataFrame([row]), row["as_of_date"])
    why = _retraining_alarm(stub, "champion")
    assert (why is not None) is due
    if due:
        assert "ece of 2026-06-20" in why


def test_alarms_of_an_older_release_name_no_version_and_ask_for_nothing(tmp_path) -> None:
    stub = _planned(tmp_path, date(2026, 6, 30))
    assert _retraining_alarm(stub, "champion") is None
    rows = {"as_of_date": [pd.Timestamp("2026-06-20")], "model_name": ["default_risk"], "measure_code": ["ece"]}
    stub.warehouse.replace_table("measured.model_alarms", pd.DataFrame(rows | {"is_retraining": [True]}))
    assert _retraining_alarm(stub, "champion") is None


def _planned(tmp_path: Path, day: date) -> SimpleNamespace:
    """A day of a home whose newest model was trained on 1 June."""
    return SimpleNamespace(
        as_of=day,
        home=SimpleNamespace(policies=tmp_path),
        registry=SimpleNamespace(last_trained_on=lambda name, as_of: date(2026, 6, 1)),
        warehouse=Warehouse.open("duckdb:///w.duckdb", tmp_path),
    )


def test_an_institution_may_never_want_it(tmp_path) -> None:
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "default_risk.yaml").write_text("retrain_after_alarm_days: 0\n", encoding="utf-8")
    stub = SimpleNamespace(
        as_of=date(2026, 6, 30),
        home=SimpleNamespace(policies=tmp_path),
        registry=SimpleNamespace(last_trained_on=lambda name, as_of: date(2026, 1, 1)),
    )
    assert _retraining_alarm(stub, "champion") is None
