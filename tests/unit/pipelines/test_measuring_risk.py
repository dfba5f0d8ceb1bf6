"""Matured scores of default risk: each version against its own card, members counted once, the champion alone retrained."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit

from models.default_risk.score import CurveTarget, DefaultRiskModel
from models.default_risk.settings import DefaultRiskSettings
from models.limits import Alarm, load_limits
from pipelines.day import Day
from pipelines.steps.champions import RISK_MODEL, champion
from pipelines.steps.decided import store_decided
from pipelines.steps.measuring import matured_risk, matured_risk_alarms
from puntual.settings import settings_text

AS_OF = date(2026, 6, 30)
SCORED = AS_OF - timedelta(days=182)
DAYS, HORIZON = 90, 182


def registered(day: Day, trained: date, auc: float, *, promote: bool = True) -> str:
    curves = {target: CurveTarget((0.0, 90.0), (0.02, 0.9)) for target in ("default", "early_warning")}
    card = {"targets": {"default": {"evaluation": {"quality": {"auc": auc}}}}}
    version = day.registry.register(RISK_MODEL, DefaultRiskModel(trained, DefaultRiskSettings(), {}, curves, card=card))
    if promote:
        day.registry.promote(RISK_MODEL, version, reason="test", decided_on=trained)
    return version


def put_scores(
    day: Day, version: str, probability: np.ndarray, outcome: np.ndarray, members: np.ndarray, *, scored: date = SCORED
) -> None:
    """Scores of that version; of the loans that default one instalment of the scored day is never paid."""
    loans = [f"L{place:05d}" for place in range(len(outcome))]
    scores = pd.DataFrame(
        {
            "as_of_date": scored,
            "loan_id": loans,
            "default_probability": probability,
            "early_warning_probability": probability,
            "model_version": version,
            "reason_codes": "[]",
        }
    )
    store_decided(day.warehouse, "ml.default_risk_scores", scores, scored)
    day.warehouse.replace_table("marts.dim_loans", pd.DataFrame({"loan_id": loans, "customer_id": members}))
    late = [loan for loan, bad in zip(loans, outcome, strict=True) if bad]
    spans = pd.DataFrame(
        {
            "loan_id": late,
            "due_date": scored,
            "past_due_from_date": scored + timedelta(days=1),
            "past_due_to_date": date(2099, 12, 31),
        }
    )
    day.warehouse.execute("create schema if not exists intermediate")
    day.warehouse.execute("drop table if exists intermediate.int_installments__past_due_spans")
    kinds = {name: "text" if name == "loan_id" else "date" for name in spans}
    day.warehouse.append("intermediate.int_installments__past_due_spans", spans, types=kinds)


@pytest.fixture
def day(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Day:
    # The cards here have no more than what the step reads.
    monkeypatch.setattr("models.default_risk.card.render", lambda card: "")
    (tmp_path / "puntual.yaml").write_text(settings_text(), encoding="utf-8")
    return Day.of(tmp_path, AS_OF, "test")


def measured(day: Day) -> dict[str, Alarm]:
    model = champion(day, RISK_MODEL)
    scores = matured_risk(day, "default", DAYS, HORIZON)
    found = matured_risk_alarms(day, model, "default", scores, load_limits(RISK_MODEL))
    return {alarm.measure: alarm for alarm in found}


def too_sure(seed: int = 0, size: int = 3_000) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Probabilities of a model that exaggerates threefold, outcomes, and a member for every loan."""
    random = np.random.default_rng(seed)
    odds = -1.5 + random.normal(size=size)
    outcome = (random.random(size) < expit(odds)).astype(float)
    return expit(3 * odds), outcome, np.array([f"C{place:05d}" for place in range(size)])


def test_every_loan_comes_with_its_member_and_the_version_that_scored_it(day: Day) -> None:
    put_scores(day, "v1", np.array([0.1, 0.2, 0.3]), np.array([0.0, 1.0, 1.0]), np.array(["C1", "C1", "C2"]))
    rows = matured_risk(day, "default", DAYS, HORIZON)
    assert rows.to_dict("list") == {
        "loan_id": ["L00000", "L00001", "L00002"],
        "customer_id": ["C1", "C1", "C2"],
        "model_version": ["v1", "v1", "v1"],
        "probability": [0.1, 0.2, 0.3],
        "outcome": [0, 1, 1],
    }
    # A day younger than the horizon: nothing has matured.
    assert matured_risk(replace(day, as_of=AS_OF - timedelta(days=1)), "default", DAYS, HORIZON).empty


def test_scores_of_the_champion_are_its_own_alarm_and_make_it_due(day: Day) -> None:
    version = registered(day, SCORED, auc=0.99)
    put_scores(day, version, *too_sure())
    found = measured(day)
    assert {"ece", "calibration_slope", "auc_drop"} <= set(found)
    assert {alarm.version for alarm in found.values()} == {version}
    assert found["calibration_slope"].retrains


def test_scores_of_a_retired_version_are_held_against_its_own_card_and_ask_for_no_training(day: Day) -> None:
    probability, outcome, members = too_sure()
    old = registered(day, SCORED, auc=0.60)  # it ranks better than its card said
    registered(day, AS_OF - timedelta(days=20), auc=0.99)  # the champion's card is not what the old one is held against
    put_scores(day, old, probability, outcome, members)
    found = measured(day)
    assert "auc_drop" not in found
    assert found["calibration_slope"].severity == "alarm"
    assert not any(alarm.retrains for alarm in found.values())
    assert {alarm.version for alarm in found.values()} == {old}
    assert all(old in alarm.text_es and old in alarm.text_en for alarm in found.values())


def test_a_version_whose_files_are_gone_is_measured_without_its_card(day: Day) -> None:
    registered(day, AS_OF - timedelta(days=20), auc=0.99)
    put_scores(day, "gone", *too_sure())
    found = measured(day)
    assert "calibration_slope" in found and "auc_drop" not in found


def test_loans_of_one_member_are_one_piece_of_evidence(day: Day) -> None:
    version = registered(day, SCORED, auc=0.80)
    probability, outcome, _ = too_sure(seed=3, size=220)
    copies = 15
    many = (np.tile(probability, copies), np.tile(outcome, copies))
    put_scores(day, version, *many, np.array([f"C{place % 220:05d}" for place in range(220 * copies)]))
    as_they_are = measured(day)["calibration_slope"].value
    put_scores(day, version, *many, np.array([f"C{place:05d}" for place in range(220 * copies)]))
    as_if_alone = measured(day)["calibration_slope"].value
    # Nearer to being in order: what copies of one member add to the evidence is taken off.
    assert as_they_are > as_if_alone + 0.05
