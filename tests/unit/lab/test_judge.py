"""The judge on cases small enough to do by hand."""

import numpy as np
import pandas as pd
import pytest

from models.lab.judge import (
    Capacity,
    best_choice,
    capacities_from_prices,
    judge,
    judge_default_risk,
    make_pairs,
)
from puntual.errors import UsageError

COSTS = {"call": 1.0, "sms": 0.0}


@pytest.fixture
def truth():
    # B owes on two loans: its gains are sums
    return pd.DataFrame(
        {
            "loan_id": ["L1", "L2", "L3", "L4"],
            "customer_id": ["A", "B", "B", "C"],
            "arrears": [900.0, 100.0, 100.0, 50.0],
            "gain_call": [3.0, 6.0, 5.0, 8.0],
            "gain_sms": [2.0, 4.0, 0.0, 7.5],
        }
    )


@pytest.fixture
def details():
    rows = [(c, k, True, None) for c in "ABC" for k in ("call", "sms")]
    return pd.DataFrame(rows, columns=["customer_id", "channel_code", "is_allowed", "zone"])


@pytest.fixture
def decisions():
    return pd.DataFrame(
        {
            "customer_id": ["A", "B", "C"],
            "action": ["call", "sms", "none"],
            "eligible": True,
            "is_exploration": [True, False, False],
            "expected_gain_amount": [4.0, 5.0, 0.0],
        }
    )


ONE_CALL_ONE_SMS = [Capacity("call", ("call",), None, 1), Capacity("sms", ("sms",), None, 1)]


def test_the_best_plan_and_the_others_by_hand(decisions, details, truth):
    # net gains: A call 2, sms 2; B call 11-1 = 10, sms 4; C call 7, sms 7.5
    # best with one call and one sms: B by call 10 + C by sms 7.5 = 17.5; gross 11 + 7.5 = 18.5
    # chosen: A by call 2 + B by sms 4 = 6
    # largest arrears first: the one call to A (900): 2, then the one sms to B (200): 4 -> 6
    result = judge(decisions, details, truth, ONE_CALL_ONE_SMS, costs=COSTS).set_index("chooser")
    assert result.at["best possible", "net_amount"] == pytest.approx(17.5)
    assert result.at["best possible", "gross_amount"] == pytest.approx(18.5)
    assert result.at["chosen", "net_amount"] == pytest.approx(6.0)
    assert result.at["chosen", "share_of_best"] == pytest.approx(6 / 17.5)
    assert result.at["chosen", "claimed_amount"] == pytest.approx(9.0)
    assert result.at["chosen, without exploration", "net_amount"] == pytest.approx(4.0)
    assert result.at["largest arrears first", "net_amount"] == pytest.approx(6.0)
    assert result.at["random", "contact_count"] == 2


def test_a_response_score_is_judged_by_the_truth(decisions, details, truth):
    # by response: A 0.9 by call; C 0.5 by sms -> true net 2 + 7.5 = 9.5
    score = pd.DataFrame(
        {
            "customer_id": ["A", "A", "B", "B", "C", "C"],
            "channel_code": ["call", "sms"] * 3,
            "score": [0.9, 0.1, 0.2, 0.1, 0.3, 0.5],
        }
    )
    result = judge(decisions, details, truth, ONE_CALL_ONE_SMS, costs=COSTS, response_score=score)
    assert result.set_index("chooser").at["response score", "net_amount"] == pytest.approx(9.5)


def test_forbidden_pairs_and_zones_bind_the_best_plan_too(truth):
    truth = truth.rename(columns={"gain_call": "gain_visit"})
    rows = [(c, k, True, z) for c, z in (("A", "north"), ("B", "south"), ("C", "north")) for k in ("visit", "sms")]
    details = pd.DataFrame(rows, columns=["customer_id", "channel_code", "is_allowed", "zone"])
    details.loc[(details["customer_id"] == "C") & (details["channel_code"] == "visit"), "is_allowed"] = False
    capacities = [Capacity("north", ("visit",), "north", 5), Capacity("sms", ("sms",), None, 1)]
    pairs = make_pairs(details, truth, capacities, {"visit": 1.0, "sms": 0.0})
    # nobody visits the south and C may not be visited: A by visit 3 - 1 = 2, and the one sms to C 7.5 -> 9.5
    plan, total = best_choice(pairs, pairs.net)
    assert total == pytest.approx(9.5)
    assert sorted(zip(pairs.customer_id[plan], pairs.channel[plan], strict=True)) == [("A", "visit"), ("C", "sms")]


def test_teams_over_one_channel_add_up_and_share_their_people(truth):
    truth = truth.assign(gain_visit=[20.0, 1.0, 0.0, 2.0])
    rows = [(c, k, True, "north") for c in "ABC" for k in ("call", "visit")]
    details = pd.DataFrame(rows, columns=["customer_id", "channel_code", "is_allowed", "zone"])
    capacities = [Capacity("callers", ("call",), None, 1), Capacity("both", ("call", "visit"), "north", 1)]
    pairs = make_pairs(details, truth, capacities, {"call": 1.0, "visit": 1.0})
    # two people: the visitor goes to A (19), the caller calls B (10); C waits
    plan, total = best_choice(pairs, pairs.net)
    assert total == pytest.approx(29.0)
    assert sorted(zip(pairs.customer_id[plan], pairs.channel[plan], strict=True)) == [("A", "visit"), ("B", "call")]
    # without anything to visit both of them call: B 10 and C 7
    calls = np.where(pairs.channel == "call", pairs.net, 0.0)
    assert best_choice(pairs, calls)[1] == pytest.approx(17.0)


def test_a_message_without_a_limit_reaches_everybody(details, truth):
    pairs = make_pairs(details, truth, [Capacity("call", ("call",), None, 0)], COSTS)
    # sms to all three: 2 + 4 + 7.5
    assert best_choice(pairs, pairs.net)[1] == pytest.approx(13.5)


def test_contacts_that_lose_money_are_not_in_the_best_plan(details, truth):
    pairs = make_pairs(details, truth, ONE_CALL_ONE_SMS, {"call": 100.0, "sms": 100.0})
    plan, total = best_choice(pairs, pairs.net)
    assert len(plan) == 0
    assert total == 0.0


def test_a_chosen_contact_that_was_not_permitted_is_an_error(decisions, details, truth):
    details.loc[0, "is_allowed"] = False
    with pytest.raises(UsageError, match="not permitted pairs"):
        judge(decisions, details, truth, ONE_CALL_ONE_SMS, costs=COSTS)


def test_capacities_are_read_from_published_prices():
    prices = pd.DataFrame(
        {
            "capacity_name": ["calls", "visits_loja"],
            "channels": ['["call"]', '["visit"]'],
            "zone": [None, "Loja"],
            "capacity_count": [20, 3],
            "used_count": [20, 1],
            "price_amount": [1.5, 0.0],
        }
    )
    assert capacities_from_prices(prices) == [
        Capacity("calls", ("call",), None, 20),
        Capacity("visits_loja", ("visit",), "Loja", 3),
    ]


def test_limits_that_lie_across_other_capacities_add_no_room():
    names = ["collectors:call [norte]", "collectors:call [sur]", "limit:call", "hours:call@08:00-10:00"]
    names += ["rule:CH-SMS/tier", "budget:day", "messages:sms"]
    prices = pd.DataFrame({"capacity_name": names, "channels": '["call"]', "zone": None, "capacity_count": 5})
    assert [one.name for one in capacities_from_prices(prices)] == [*names[:2], "messages:sms"]


def test_default_risk_is_judged_on_open_loans_below_the_threshold():
    truth = pd.DataFrame(
        {
            "loan_id": ["a", "b", "c", "d", "e"],
            "active": [True, True, True, True, False],
            "dpd": [0, 10, 40, 120, 0],
            "p_default": [0.1, 0.2, 0.9, 0.0, 0.0],
            "default_label": [False, False, True, False, False],
        }
    )
    scores = pd.DataFrame({"loan_id": list("abcde"), "default_probability": [0.0, 0.5, 0.5, 1.0, 1.0]})
    result = judge_default_risk(scores, truth).set_index("score")
    # a 0, b 0.5, c 0.5 against 0, 0, 1: pairs (c, a) won, (c, b) tied -> 0.75; Brier (0 + 0.25 + 0.25) / 3
    assert result.at["model", "loan_count"] == 3
    assert result.at["model", "auc"] == pytest.approx(0.75)
    assert result.at["model", "brier"] == pytest.approx(0.5 / 3)
    assert result.at["model", "mean_absolute_error"] == pytest.approx((0.1 + 0.3 + 0.4) / 3)
    assert result.at["true probability", "auc"] == 1.0
    assert result.at["past-due days", "auc"] == 1.0
