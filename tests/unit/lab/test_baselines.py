"""The response model learns who pays, not whom a contact moves."""

import numpy as np
import pandas as pd
import pytest

from models.lab.baselines import response_scores


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
