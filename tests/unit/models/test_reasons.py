from __future__ import annotations

import json
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from models.default_risk.reasons import CATCH_UP, caught_up, percent, sentences, texts
from models.default_risk.score import DefaultRiskModel
from models.default_risk.settings import DefaultRiskSettings
from models.default_risk.train import train
from models.estimators import BoosterSettings
from models.features import LOAN_FEATURES
from puntual.lists.texts import LANGUAGES


@pytest.fixture(scope="module")
def world(loan_world: Callable):
    return loan_world(members=600)


@pytest.fixture(scope="module")
def model(world) -> DefaultRiskModel:
    settings = DefaultRiskSettings(bootstrap_draws=2, backtest_cuts=0, n_jobs=1, booster=BoosterSettings(rounds=60))
    return train(world.features, world.labels, as_of=world.as_of, settings=settings)


def test_every_sentence_is_in_both_languages_and_holds_its_figures() -> None:
    said = texts()
    for code, by_language in said["changes"].items():
        for language in LANGUAGES:
            forms = by_language[language]
            assert forms["one"].endswith(".")
            places = {"{amount}", "{before}", "{after}"}
            assert all(p in forms["one"] for p in places) == (code == CATCH_UP), (code, language)
    assert set(said["lowers"]) <= {group.code for group in LOAN_FEATURES.groups}


def test_what_would_change_the_risk_names_the_risk() -> None:
    """The sentences stand one after the other in any choice, so none may lean on the one before it."""
    for code, languages in texts()["changes"].items():
        for language, risk in (("es", "el riesgo"), ("en", "the risk")):
            assert all(risk in sentence for sentence in languages[language].values()), code


def test_the_sentence_by_hand_in_both_languages() -> None:
    row = {
        "lowering_codes": '["BROKEN_PROMISES"]',
        "change_code": CATCH_UP,
        "change_installment_count": 2.0,
        "change_amount": 1184.2,
        "default_probability": 0.412,
        "changed_probability": 0.0231,
    }
    assert sentences(row, "es", "USD") == [
        "En el último medio año no ha incumplido promesas de pago.",
        "Ponerse al día con 2 cuotas (USD 1.184,20) bajaría el riesgo de 41 % a 2,3 %.",
    ]
    assert sentences(row | {"change_installment_count": 1.0, "lowering_codes": "[]"}, "en", "USD") == [
        "Catching up with 1 instalment (USD 1,184.20) would lower the risk from 41% to 2.3%."
    ]
    assert sentences(row | {"change_code": None, "lowering_codes": "[]"}, "en", "USD") == []
    assert percent(0.0996, "en") == "10%"


def test_catching_up_changes_the_arrears_and_no_record(world) -> None:
    rows = world.today.head(40).assign(arrears_to_installment_rate=2.0, paid_28d_rate=0.5, shortfall_91d_rate=1.5)
    rows["member_active_loan_count"] = np.where(np.arange(40) % 2, 1.0, 3.0)
    after = caught_up(rows)
    assert (after[["past_due_days", "arrears_amount", "past_due_installment_count"]] == 0).all(axis=None)
    assert (after["paid_28d_rate"] == 2.5).all()
    assert (after["shortfall_91d_rate"] == -0.5).all()
    alone = rows["member_active_loan_count"] == 1
    assert (after.loc[alone, "member_max_past_due_days"] == 0).all()
    assert (after.loc[~alone, "member_max_past_due_days"] == rows.loc[~alone, "member_max_past_due_days"]).all()
    untouched = ["on_time_rate_364d", "max_late_days_91d", "broken_promise_count_182d", "installment_amount"]
    pd.testing.assert_frame_equal(after[untouched], rows[untouched])


def test_reasons_say_the_direction_and_what_the_model_gives_after_the_change(world, model: DefaultRiskModel) -> None:
    scores, why = model.predict_with_reasons(world.today)
    pd.testing.assert_frame_equal(scores, model.predict(world.today))
    both = why.merge(scores, on="loan_id", suffixes=("", "_score"))
    assert len(both) == len(why)
    assert (both["raising_codes"] == both["reason_codes"]).all()
    for up, down in zip(why["raising_codes"].map(json.loads), why["lowering_codes"].map(json.loads), strict=True):
        assert not set(up) & set(down)
        assert len(down) <= 2
    catching = why[why["change_code"] == CATCH_UP]
    assert len(catching) > 10
    assert (catching["changed_probability"] < catching["default_probability"]).all()
    rows = world.today[world.today["loan_id"].isin(catching["loan_id"])].sort_values("loan_id")
    assert (rows["past_due_days"].between(1, 89)).all()
    assert catching["change_amount"].tolist() == rows["arrears_amount"].tolist()
    again = model.predict(caught_up(rows))["default_probability"]
    np.testing.assert_allclose(again, catching["changed_probability"])
    other = why[why["change_code"] != CATCH_UP]
    assert other[["change_amount", "changed_probability"]].isna().all(axis=None)


def test_nobody_is_praised_for_what_is_not_so(world, model: DefaultRiskModel) -> None:
    _, why = model.predict_with_reasons(world.today)
    rows = why.merge(world.today, on="loan_id")
    down = rows["lowering_codes"].map(json.loads)
    assert down.map(lambda codes: "BROKEN_PROMISES" in codes).any()
    assert (rows.loc[down.map(lambda codes: "BROKEN_PROMISES" in codes), "broken_promise_count_182d"] == 0).all()
    assert (rows.loc[down.map(lambda codes: "OVERDUE_NOW" in codes), "past_due_days"] == 0).all()


def test_a_curve_says_what_it_can(loan_world: Callable) -> None:
    world = loan_world(members=30, seed=1)
    young = train(world.features.head(0), world.labels.head(0), as_of=world.as_of)
    _, why = young.predict_with_reasons(world.today)
    assert young.kind == "prior"
    late = why.merge(world.today[world.today["past_due_days"].between(1, 89)], on="loan_id")
    assert (late["change_code"] == CATCH_UP).all()
