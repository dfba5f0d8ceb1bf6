"""The contest on a cooperative of four members, worked out by hand."""

import numpy as np
import pandas as pd
import pytest

from models.lab.contest import (
    ABSTAINING,
    ARREARS,
    HABIT,
    MODEL,
    OBSERVABLE,
    ORACLE,
    OWN_TEAMS,
    PAST_DUE,
    RANDOM,
    RESPONSE,
    SAME_SHARE,
    contest,
    risk_contest,
    table,
)
from puntual.errors import UsageError

COSTS = {"call": 1.0, "sms": 0.0}


@pytest.fixture
def truth():
    # D owes on two loans, so its gains are sums: call 5, sms 1. E is not eligible and takes part in nothing.
    return pd.DataFrame(
        {
            "loan_id": ["L1", "L2", "L3", "L4", "L5", "L6"],
            "customer_id": ["A", "B", "C", "D", "D", "E"],
            "eligible": [True, True, True, True, True, False],
            "arrears": [900.0, 50.0, 20.0, 100.0, 100.0, 5000.0],
            "gain_call": [2.0, 8.0, 4.0, 3.0, 2.0, 99.0],
            "gain_sms": [1.0, 6.0, 3.5, 1.0, 0.0, 99.0],
        }
    )


@pytest.fixture
def scores():
    # the model is right about B, believes too much of A, and has nothing to say about D
    rows = [("A", "call", 9.0), ("A", "sms", 1.0), ("B", "call", 7.0), ("B", "sms", 6.0), ("C", "sms", 3.0)]
    return pd.DataFrame(rows, columns=["customer_id", "channel_code", "gain_amount"])


def values(result, budget, people=SAME_SHARE):
    rows = result[(result["people"] == people) & (result["budget"] == budget)]
    return rows.set_index(["chooser", "measure"])["value"]


def test_plans_under_a_quarter_each_by_hand(truth, scores):
    # 4 eligible members, budget .25: one call and one sms. Net gains: A 1, 1; B 7, 6; C 3, 3.5; D 4, 1
    # oracle: call B 7 + sms C 3.5 = 10.5, or call D 4 + sms B 6 = 10 -> 10.5
    # model claims net A 8, 1; B 6, 6; C -, 3: call A + sms B: claimed 9 + 6 = 15, true gain 2 + 6 = 8, net 7
    # largest arrears: the call to A (900) net 1, then the sms to D (200) 1 -> 2
    found = values(contest(scores, None, truth, COSTS, [0.25]), 0.25)
    assert found[ORACLE, "net_amount"] == pytest.approx(10.5)
    assert found[MODEL, "net_amount"] == pytest.approx(7.0)
    assert found[MODEL, "share_of_best"] == pytest.approx(7 / 10.5)
    assert found[MODEL, "claimed_amount"] == pytest.approx(15.0)
    assert found[MODEL, "claim_ratio"] == pytest.approx(15 / 8)
    assert found[MODEL, "claim_ratio_call"] == pytest.approx(9 / 2)
    assert found[MODEL, "claim_ratio_sms"] == pytest.approx(1.0)
    assert found[ARREARS, "net_amount"] == pytest.approx(2.0)
    assert found[RANDOM, "contact_count"] == 2
    assert (RESPONSE, "net_amount") not in found.index


def test_pairs_that_the_past_hardly_tried_are_left_out_of_the_products_plan(truth, scores):
    # without the call to A (claimed 9, true 2) the model calls B: 7 - 1, and sends C: 3.5 by the truth
    known = scores.assign(is_supported=[False, True, True, True, True])
    found = values(contest(known, None, truth, COSTS, [0.25]), 0.25)
    assert found[MODEL, "net_amount"] == pytest.approx(7.0)
    assert found[ABSTAINING, "net_amount"] == pytest.approx(10.5)
    # its claim: 7 of the call to B (true 8) and 3 of the sms to C (3.5)
    assert found[ABSTAINING, "claimed_amount"] == pytest.approx(10.0)
    assert found[ABSTAINING, "claim_ratio"] == pytest.approx(10 / 11.5)
    assert found[MODEL, "claim_ratio"] == pytest.approx(15 / 8)
    # of the model's own plan the call to A was never tried
    assert found[MODEL, "unsupported_count"] == 1
    assert found[MODEL, "unsupported_gain_amount"] == pytest.approx(2.0)
    assert found[MODEL, "unsupported_claimed_amount"] == pytest.approx(9.0)


def test_who_is_taught_the_truth_stands_beside_the_choosers(truth, scores):
    # taught that A is worth little and D something: call B 7 - 1 and sms C 3 as the oracle, or call D: 4 - 1 less
    taught = scores.assign(gain_amount=[2.0, 1.0, 8.0, 6.0, 3.5])
    found = values(contest(scores, None, truth, COSTS, [0.25], taught=taught), 0.25)
    assert found[OBSERVABLE, "share_of_best"] == pytest.approx(1.0)
    assert found[MODEL, "net_amount"] == pytest.approx(7.0)


def test_own_teams_bind_the_people_and_the_budget_the_messages(truth, scores):
    # budget .5: two sms; the teams make no call at all. Oracle: sms B 6 + sms C 3.5; the model says the same
    found = values(contest(scores, None, truth, COSTS, [0.5], teams={"call": 0}), 0.5, OWN_TEAMS)
    assert found[ORACLE, "net_amount"] == pytest.approx(9.5)
    assert found[MODEL, "share_of_best"] == pytest.approx(1.0)


def test_a_response_score_pursues_those_who_pay_anyway(truth, scores):
    # A pays alone with .9 of 100, the others do not: by response call A 93 - 1 and sms B 6 -> true net 1 + 6
    # by gain: call B 7 - 1 and sms C 3 beat call A 3 - 1 and sms B 6 -> true net 7 + 3.5
    alone = scores.assign(
        gain_amount=[3.0, 1.0, 7.0, 6.0, 3.0],
        pay_probability=[0.9, 0.9, 0.0, 0.0, 0.0],
        expected_amount=100.0,
    )
    found = values(contest(alone, None, truth, COSTS, [0.25]), 0.25)
    assert found[RESPONSE, "net_amount"] == pytest.approx(7.0)
    assert found[MODEL, "net_amount"] == pytest.approx(10.5)


def test_the_habit_is_compared_with_the_best_of_as_many_contacts(truth, scores):
    # one call in all, half to A and half to D: true net .5 * 1 + .5 * 4 = 2.5; the best one call is B: 7
    habit = pd.DataFrame({"customer_id": ["A", "D"], "channel_code": "call", "probability": 0.5})
    result = contest(scores, None, truth, COSTS, [], habit=habit).set_index(["chooser", "measure"])["value"]
    assert result[HABIT, "net_amount"] == pytest.approx(2.5)
    assert result[HABIT, "share_of_best"] == pytest.approx(2.5 / 7)


def test_the_habit_in_the_truth_counts_once_per_member(truth, scores):
    # the probability stands at each of D's loans; it is still one call
    habit = truth.assign(log_none=0.0, log_call=[0.0, 0.0, 0.0, 1.0, 1.0, 0.0], log_sms=0.0)
    result = contest(scores, None, habit, COSTS, []).set_index(["chooser", "measure"])["value"]
    assert result[HABIT, "contact_count"] == pytest.approx(1.0)
    assert result[HABIT, "net_amount"] == pytest.approx(4.0)


@pytest.fixture
def loans():
    return pd.DataFrame(
        {
            "loan_id": ["a", "b", "c", "d", "e"],
            "active": [True, True, True, True, False],
            "dpd": [0, 10, 40, 120, 0],
            "p_default": [0.1, 0.2, 0.9, 0.0, 0.0],
            "default_label": [False, False, True, False, False],
        }
    )


def test_risk_is_a_share_of_what_the_true_probability_reaches(loans):
    # c .5 against a 0 (won) and b .5 (tied): .75 over 1; |0-.1|, |.5-.2|, |.5-.9| to the true probability, one a bin
    scores = pd.DataFrame({"loan_id": list("abc"), "default_probability": [0.0, 0.5, 0.5]})
    found = risk_contest(scores, loans).set_index(["chooser", "measure"])["value"]
    assert found[MODEL, "auc_share"] == pytest.approx(0.75)
    assert found[MODEL, "ece_to_truth"] == pytest.approx((0.1 + 0.3 + 0.4) / 3)
    assert found[MODEL, "ece"] == pytest.approx((0 + 0.5 + 0.5) / 3)
    assert found[MODEL, "brier"] == pytest.approx((0 + 0.25 + 0.25) / 3)
    assert found[MODEL, "brier_to_truth"] == pytest.approx((0.01 + 0.09 + 0.16) / 3)
    assert found[ORACLE, "brier_to_truth"] == 0.0
    assert found["past-due days alone", "auc"] == 1.0
    assert ("past-due days alone", "brier") not in found.index


def test_plain_models_are_judged_like_the_model(loans):
    model = pd.DataFrame({"loan_id": list("abc"), "default_probability": [0.0, 0.5, 0.5]})
    curve = pd.DataFrame({"loan_id": list("abc"), "default_probability": [0.1, 0.3, 0.6]})
    found = risk_contest(model, loans, baselines={PAST_DUE: curve}).set_index(["chooser", "measure"])["value"]
    # |.3-.2|, |.6-.9|; against the outcome .1, .3, .4
    assert found[PAST_DUE, "brier_to_truth"] == pytest.approx((0 + 0.01 + 0.09) / 3)
    assert found[PAST_DUE, "brier"] == pytest.approx((0.01 + 0.09 + 0.16) / 3)
    assert found[PAST_DUE, "ece"] == pytest.approx((0.1 + 0.3 + 0.4) / 3)
    assert found[PAST_DUE, "auc_share"] == 1.0
    with pytest.raises(UsageError, match=r"past-due days alone: 1 of 3 open loans"):
        risk_contest(model, loans, baselines={PAST_DUE: curve.head(2)})


def test_what_cannot_be_judged_is_said(truth, scores, loans):
    with pytest.raises(UsageError, match="have no probability"):
        risk_contest(pd.DataFrame({"loan_id": ["a"], "default_probability": [0.5]}), loans)
    with pytest.raises(UsageError, match="gain_amount are missing"):
        contest(scores.drop(columns="gain_amount"), None, truth, COSTS)
    with pytest.raises(UsageError, match="repeat their customer_id, channel_code"):
        contest(pd.concat([scores, scores]), None, truth, COSTS)
    with pytest.raises(UsageError, match="no cost for sms"):
        contest(scores, None, truth, {"call": 1.0})
    with pytest.raises(UsageError, match=r"budget 25"):
        contest(scores, None, truth, COSTS, [25])


def test_the_table_has_a_row_per_chooser(truth, scores):
    wide = table(contest(scores, None, truth, COSTS, [0.25, 0.5]))
    assert len(wide) == 2 * 4
    assert np.isfinite(wide["net_amount"]).all()
