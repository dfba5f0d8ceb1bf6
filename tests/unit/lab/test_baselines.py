"""The response model learns who pays, not whom a contact moves."""

from datetime import date

import numpy as np
import pandas as pd
import pytest

from models.datasets import risk_training_dates
from models.default_risk.settings import DefaultRiskSettings
from models.features import CUSTOMER_FEATURES, LOAN_FEATURES
from models.lab.baselines import response_scores, risk_scores, taught_gains, taught_the_truth
from models.lab.contest import DEFAULT_LIGHTGBM, OBSERVABLE, PAST_DUE, SCORECARD
from models.metrics import auc, ece


@pytest.fixture(scope="module")
def past():
    # half of the members pay 50.00 always, the others never; calls go to all of them, sms only to those who never pay
    n = 4000
    good = np.arange(n) % 2 == 0
    channel = np.where(np.arange(n) % 4 < 2, "call", np.where(good, "none", "sms"))
    features = pd.DataFrame(
        {
            "as_of_date": pd.Timestamp(2026, 1, 5),
            "customer_id": [f"C{i}" for i in range(n)],
            "is_eligible": True,
            "paid_91d_rate": np.where(good, 1.0, 0.0),
            "province": "Loja",
        }
    )
    labels = features[["as_of_date", "customer_id"]].assign(
        channel_code=channel, is_matured=True, paid_7d_amount=np.where(good, 50.0, 0.0)
    )
    return features, labels


def test_those_who_pay_anyway_score_highest_through_the_channel_that_met_payers(past):
    features, labels = past
    scores = response_scores(features, labels, features.head(2), ["call", "sms"])
    assert list(scores.columns) == ["customer_id", "channel_code", "score"]
    found = scores.set_index(["customer_id", "channel_code"])["score"]
    assert found["C0", "call"] == pytest.approx(50.0, abs=2.0)
    assert found["C1", "call"] < 2.0
    assert found["C1", "sms"] < 2.0


def test_weeks_that_have_not_matured_or_saw_no_contact_teach_nothing(past):
    features, labels = past
    assert response_scores(features, labels.assign(is_matured=False), features.head(2), ["call"]).empty
    assert response_scores(features, labels.assign(channel_code="none"), features.head(2), ["call"]).empty


def test_same_inputs_and_seed_give_the_same_scores(past):
    features, labels = past
    one, two = (response_scores(features, labels, features.head(9), ["call", "sms"], seed=3) for _ in range(2))
    pd.testing.assert_frame_equal(one, two)


AS_OF = date(2026, 6, 30)


def loan_rows(day, count, random):
    columns = {}
    for column in LOAN_FEATURES.columns:
        drawn = random.random(count)
        columns[column.name] = drawn < 0.5 if column.type == "boolean" else drawn
        if column.type == "category":
            columns[column.name] = random.choice(["a", "b"], count)
    ids = [f"L{i}" for i in range(count)]
    days = np.where(random.random(count) < 0.4, random.integers(1, 89, count), 0)
    own = {"as_of_date": pd.Timestamp(day), "loan_id": ids, "customer_id": ids, "past_due_days": days}
    return pd.DataFrame(columns).assign(**own, is_risk_training=True)


def chance(rows):
    return 0.02 + 0.005 * rows["past_due_days"] + 0.3 * (rows["on_time_rate_364d"] < 0.2)


def test_plain_models_of_default_learn_from_the_same_rows_and_are_calibrated():
    random = np.random.default_rng(0)
    past = pd.concat([loan_rows(day, 600, random) for day in risk_training_dates(AS_OF, 182, date(2025, 6, 1))])
    past = past.reset_index(drop=True)
    labels = past[["as_of_date", "loan_id"]].assign(
        is_default=random.random(len(past)) < chance(past),
        is_below_threshold=True,
        is_matured=True,
        is_below_early=True,
        is_early_default=False,
        is_early_matured=True,
    )
    today = loan_rows(AS_OF, 3000, random)
    options = {"as_of": AS_OF, "settings": DefaultRiskSettings(n_jobs=1)}
    found = risk_scores(past, labels, today, **options)
    assert set(found) == {PAST_DUE, SCORECARD, DEFAULT_LIGHTGBM}
    drawn = random.random(len(today)) < chance(today)
    score = {name: frame["default_probability"].to_numpy() for name, frame in found.items()}
    assert all(frame["loan_id"].tolist() == today["loan_id"].tolist() for frame in found.values())
    assert ece(chance(today).to_numpy(), score[PAST_DUE]) < 0.03
    assert auc(drawn, score[SCORECARD]) > auc(drawn, score[PAST_DUE]) + 0.03
    assert auc(drawn, score[DEFAULT_LIGHTGBM]) > auc(drawn, score[PAST_DUE]) + 0.03
    assert risk_scores(past, labels.assign(is_matured=False), today, **options) == {}


def test_who_is_taught_the_truth_finds_what_is_seen_and_nothing_of_what_is_hidden():
    # half of the chance stands in the columns, half in a coin that no column knows
    random = np.random.default_rng(1)
    today = loan_rows(AS_OF, 4000, random)
    seen, coin = chance(today).to_numpy() / 2, random.random(4000) < 0.5
    truth = pd.DataFrame({"loan_id": today["loan_id"], "p_default": seen + 0.2 * coin})
    blind = pd.DataFrame({"loan_id": today["loan_id"], "default_probability": 0.2})
    found = taught_the_truth(today, blind, truth)[OBSERVABLE]
    assert found["loan_id"].tolist() == today["loan_id"].tolist()
    taught = found["default_probability"].to_numpy()
    assert np.corrcoef(taught, seen)[0, 1] > 0.9
    assert abs(taught[coin].mean() - taught[~coin].mean()) < 0.01


def test_the_response_model_sees_the_willingness(past):
    # what tells payers apart stands in the willingness alone
    features, labels = past
    seen = features.assign(willingness_level=features["paid_91d_rate"], paid_91d_rate=0.5)
    found = response_scores(seen, labels, seen.head(2), ["call", "sms"]).set_index(["customer_id", "channel_code"])
    assert found.loc[("C0", "call"), "score"] > found.loc[("C1", "call"), "score"] + 40


def test_gains_taught_by_the_truth_find_what_is_seen_and_nothing_of_what_is_hidden():
    # a call brings 10 more to those late, and 20 more by a coin that no column knows; a message brings 3 as was said
    random = np.random.default_rng(2)
    count = 3000
    rows = {
        column.name: random.choice(["a", "b"], count) if column.type == "category" else random.random(count)
        for column in CUSTOMER_FEATURES.columns
    }
    rows |= {column.name: rows[column.name] < 0.5 for column in CUSTOMER_FEATURES.columns if column.type == "boolean"}
    people = np.array([f"C{i}" for i in range(count)], dtype=object)
    late, coin = random.random(count) < 0.5, random.random(count) < 0.5
    today = pd.DataFrame(rows).assign(
        customer_id=people, as_of_date=pd.Timestamp(AS_OF), is_eligible=True, past_due_days=np.where(late, 20.0, 0.0)
    )
    scores = pd.DataFrame(
        {
            "customer_id": np.repeat(people, 2),
            "channel_code": np.tile(["call", "sms"], count),
            "gain_amount": np.tile([5.0, 3.0], count),
            "reach_probability": 0.5,
            "pay_probability": 0.3,
            "expected_amount": 100.0,
        }
    )
    truth = pd.DataFrame(
        {"customer_id": people, "eligible": True, "gain_call": 5.0 + 10.0 * late + 20.0 * coin, "gain_sms": 3.0}
    )
    found = taught_gains(today, scores, truth).pivot(index="customer_id", columns="channel_code", values="gain_amount")
    call, sms = (found.loc[people, code].to_numpy() for code in ("call", "sms"))
    assert call[late].mean() == pytest.approx(25.0, abs=1.0)
    assert call[~late].mean() == pytest.approx(15.0, abs=1.0)
    assert abs(call[coin].mean() - call[~coin].mean()) < 1.0
    assert sms == pytest.approx(np.full(count, 3.0), abs=0.2)
