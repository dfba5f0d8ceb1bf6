"""Provision and fee at stake, by hand; what a contact avoids of them; and the decision that weighs them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from puntual.decision.fees import chargeable, chargeable_channels, free_of_charge
from puntual.decision.value import asks_for_more, paid_shares, provision_avoided, stakes
from tests.unit.decision import worlds
from tests.unit.decision.test_decide import COSTS, book, run
from tests.unit.decision.worlds import TUESDAY

RATINGS = pd.DataFrame(
    {
        "line_code": "consumo",
        "min_days": [0, 6, 21, 36],
        "max_days": [5, 20, 35, None],
        "provision_share": [0.01, 0.02, 0.03, 0.06],
    }
)
FEES = pd.DataFrame(
    {
        "min_installment_amount": [0, 0, 100],
        "below_installment_amount": [100, 100, None],
        "min_days": [1, 31, 1],
        "max_days": [30, None, None],
        "fee_amount": [6.38, 16.23, 8.0],
    }
)
NO_PAYMENTS = pd.DataFrame(
    {"loan_id": [], "paid_date": pd.to_datetime([]), "payment_amount": [], "is_reversal": np.zeros(0, dtype=bool)}
)


def loans(*rows: dict[str, Any]) -> pd.DataFrame:
    default = {
        "line_code": "consumo",
        "past_due_days": 15,
        "next_due_in_days": 15,
        "outstanding_principal_amount": 2_000.0,
        "arrears_amount": 90.0,
        "past_due_installment_count": 1,
        "installment_amount": 90.0,
        "due_next_window_amount": 0.0,
    }
    return pd.DataFrame([default | {"loan_id": f"l{n}", "customer_id": f"m{n}"} | row for n, row in enumerate(rows)])


def at_stake(*rows: dict[str, Any], payments: pd.DataFrame = NO_PAYMENTS, fees: pd.DataFrame = FEES):
    book = loans(*rows)
    through = pd.Series('["call","sms"]', index=book["loan_id"], dtype=object)
    found = stakes(book, payments, RATINGS, fees, through, as_of=TUESDAY, window_days=7)
    return found.set_index("customer_id")


def test_a_roll_is_at_stake_only_when_the_next_category_begins_within_the_window():
    # 15 + 7 = 22 days: A2 (2 %) to A3 (3 %) of 2 000 is 20; 13 + 7 = 20 is still A2; 40 is the last category
    found = at_stake({}, {"past_due_days": 13}, {"past_due_days": 40})
    assert found["roll_amount"].tolist() == pytest.approx([20.0, 0.0, 0.0])
    assert found["enough_amount"].tolist()[0] == 90.0
    assert found["enough_amount"].isna().tolist() == [False, True, True]


def test_a_current_loan_counts_from_its_next_due_date():
    # due in 1 day: 6 past-due days after 7, the first of A2; due in 2 days: 5, still A1
    current = {
        "past_due_days": 0,
        "past_due_installment_count": 0,
        "arrears_amount": 0.0,
        "due_next_window_amount": 95.0,
    }
    found = at_stake(
        current | {"next_due_in_days": 1}, current | {"next_due_in_days": 2}, current | {"next_due_in_days": None}
    )
    assert found["roll_amount"].tolist() == pytest.approx([20.0, 0.0, 0.0])
    assert found["enough_amount"].iloc[0] == 95.0


def test_only_the_oldest_debt_of_a_member_counts():
    found = at_stake({"customer_id": "ana"}, {"customer_id": "ana", "past_due_days": 60})
    assert found["roll_amount"].to_dict() == {"ana": 0.0}


def test_the_fee_is_of_its_band():
    rows = [{}, {"past_due_days": 31}, {"installment_amount": 100.0}, {"past_due_days": 0}]
    found = at_stake(*rows)
    assert found["fee_amount"].tolist() == [6.38, 16.23, 8.0, 0.0]
    assert set(found["fee_channels"]) == {'["call","sms"]'}
    assert at_stake({}, fees=FEES.head(0))["fee_amount"].isna().all()


def charged(*events: dict[str, Any], country: str = "EC", late: tuple[int, ...] = (10, 10, 0)) -> list[list[bool]]:
    """Whether a call and a message may be charged to the loans a, b and c of ana, bea and cal."""
    names = ["ana", "bea", "cal"]
    book = pd.DataFrame({"loan_id": ["a", "b", "c"], "customer_id": names, "past_due_days": late})
    past = worlds.events(*events).assign(loan_id=[event.get("loan_id") for event in events])
    rules = worlds.policies(country)
    return chargeable(book, past, policies=rules, as_of=TUESDAY, channels=["call", "sms"]).tolist()


def test_at_most_one_effective_contact_a_loan_and_month_is_charged_and_none_before_its_time():
    spoken = {"outcome_code": "right_party"}
    found = charged(
        {"occurred_at": "2026-06-02 15:00", "loan_id": "a", **spoken},
        {"occurred_at": "2026-06-03 15:00", "loan_id": "b", "customer_id": "bea"},
        {"occurred_at": "2026-05-31 15:00", "loan_id": "b", "customer_id": "bea", **spoken},
    )
    # a was spoken to this month; b only rung (and spoken to in May); c is not past due
    assert found == [[False, False], [True, True], [False, False]]
    # a conversation about no loan in particular counts for all of the member's
    assert charged({"occurred_at": "2026-06-02 15:00", "customer_id": "bea", **spoken})[1] == [False, False]
    # Chile: from the 20th past-due day on; a country without a fee rule charges nothing
    assert charged(country="CL", late=(19, 20, 21)) == [[False, False], [True, True], [True, True]]
    assert charged(country="CO") == [[False, False]] * 3


def test_what_may_be_charged_is_shown_whatever_counts_and_a_free_duty_bears_none():
    inputs = book(40)
    inputs["customers"].loc[3, "customer_status_code"] = "deceased"
    owed = pd.DataFrame(
        {
            "customer_id": ["m00001", "m00002"],
            "rule_id": ["CL-21320/first_notice", "another"],
            "due_date": TUESDAY,
            "due_on": TUESDAY,
            "channels": '["call"]',
            "is_last_chance": False,
        }
    )
    free = free_of_charge(
        inputs["features"]["customer_id"], owed, policies=worlds.policies("CL"), channels=["call", "sms"]
    )
    assert np.argwhere(free).tolist() == [[1, 0]]
    plain = weighed(inputs)
    assert plain.details["fee_amount"].eq(0.0).all()
    shown = plain.details.set_index("channel_code")["chargeable_fee_amount"]
    assert shown["call"].eq(6.0).all() and shown["visit"].eq(0.0).all()
    rows = plain.decisions
    assert rows.loc[rows["action"] == "call", "chargeable_fee_amount"].eq(6.0).all()
    assert rows.loc[3, "action"] == "none" and np.isnan(rows.loc[3, "chargeable_fee_amount"])
    # on the ladder, without any estimate, too; and nothing is claimed where no stakes are known
    ladder = weighed(inputs | {"channel_scores": None}, exploration_share=0.0).details
    assert ladder["fee_amount"].isna().all()
    assert ladder.set_index("channel_code").loc["call", "chargeable_fee_amount"].eq(6.0).all()
    assert run(inputs).details["chargeable_fee_amount"].isna().all()


def test_what_who_pays_pays_is_measured_in_instalments():
    book = loans({}, {"installment_amount": 50.0})
    payments = pd.DataFrame(
        {
            "loan_id": ["l0", "l0", "l0", "l1", "l1", "l0"],
            # the first two within the last 7 days, the third in the window before, one reversed, one too old
            "paid_date": pd.to_datetime(
                ["2026-06-30", "2026-06-24", "2026-06-23", "2026-06-20", "2026-06-20", "2025-11-01"]
            ),
            "payment_amount": [45.0, 45.0, 18.0, 50.0, 25.0, 900.0],
            "is_reversal": [False, False, False, False, True, False],
        }
    )
    # the first loan paid 90 and 18 of 90 in two windows, the second 50 less 25 of 50
    assert paid_shares(payments, book, as_of=TUESDAY, window_days=7).tolist() == pytest.approx([0.2, 0.5, 1.0])


def test_the_share_that_pays_enough_is_measured_when_enough_have_paid():
    many = pd.DataFrame(
        {
            "loan_id": [f"l{n}" for n in range(200)],
            "paid_date": pd.Timestamp("2026-06-30"),
            "payment_amount": [90.0] * 150 + [45.0] * 50,
            "is_reversal": False,
        }
    )
    found = at_stake(*({} for _ in range(200)), payments=many)
    assert found["enough_probability"].unique().tolist() == [0.75]
    assert at_stake({}, payments=many.head(1))["enough_probability"].isna().all()


def test_what_a_contact_avoids_is_the_change_of_paying_times_enough_times_the_roll():
    stake = pd.DataFrame({"roll_amount": [20.0, 20.0, 20.0, 0.0, np.nan], "enough_amount": [90.0] * 5})
    stake["enough_probability"] = [0.75, np.nan, np.nan, 0.75, np.nan]
    gain, expected, pay = np.array([[6.0]] * 5), np.array([[60.0]] * 5), np.full((5, 1), 0.5)
    gain[2] = 60.0  # a change of 1 is cut to what is left to certainty, .5
    # 6 / 60 = .1 more pay; .1 x .75 x 20 = 1.5; .1 x 60/90 x 20 = 1.33; .5 x 60/90 x 20 = 6.67
    found = provision_avoided(gain, expected, pay, stake)
    assert found[:, 0].tolist() == pytest.approx([1.5, 4 / 3, 20 / 3, 0.0, 0.0])


def weighed(inputs: dict[str, Any], **options: Any):
    scores = inputs["channel_scores"]
    scores = None if scores is None else scores.assign(expected_amount=50.0, pay_probability=0.2)
    names = inputs["features"]["customer_id"]
    stake = pd.DataFrame({"customer_id": names, "roll_amount": 0.0, "enough_amount": 50.0, "enough_probability": 1.0})
    stake["roll_amount"] = np.where(np.arange(len(names)) % 2 == 0, 200.0, 0.0)
    stake["fee_amount"], stake["fee_channels"] = 6.0, '["call","ivr","whatsapp","sms","email"]'
    return run(inputs | {"channel_scores": scores}, stakes=stake, **options)


def test_the_choice_weighs_provisions_and_every_part_is_in_the_row():
    inputs = book(200)
    plain, found = weighed(inputs), weighed(inputs, provision_weight=1.0)
    rows = found.decisions[found.decisions["action"] != "none"]
    # all payments are enough and bring 50: each unit of gain avoids 200 / 50 of provision for the even members
    even = rows["customer_id"].str[1:].astype(int) % 2 == 0
    assert rows["provision_avoided_amount"].to_numpy() == pytest.approx(
        np.minimum(np.where(even, 4.0, 0.0) * rows["expected_gain_amount"], 0.8 * 200.0)
    )
    parts = (
        rows["expected_gain_amount"]
        + rows["provision_avoided_amount"]
        + rows["fee_amount"]
        - rows["contact_cost_amount"]
    )
    assert rows["value_amount"].to_numpy() == pytest.approx(parts.to_numpy())
    assert found.summary["planned_value_amount"] == pytest.approx(rows["value_amount"].sum(), abs=0.01)
    assert found.summary["gap_rate"] < 1e-9

    def scarce(outcome: Any) -> float:
        calls = outcome.decisions.loc[outcome.decisions["action"].isin(["call", "visit"]), "customer_id"]
        return float((calls.str[1:].astype(int) % 2 == 0).mean())

    assert scarce(found) > scarce(plain)
    assert plain.decisions["provision_avoided_amount"].dropna().eq(0.0).all()


def test_a_fee_counts_by_its_weight_where_the_member_is_reached():
    found = weighed(book(60), fee_weight=0.5)
    # reached in half of the contacts: 6 x .5 x .5; a visit may not be charged
    chosen = found.decisions[found.decisions["action"].isin(["call", "ivr", "whatsapp", "sms", "email"])]
    assert chosen["fee_amount"].unique().tolist() == [1.5] and chosen["chargeable_fee_amount"].unique().tolist() == [
        6.0
    ]
    assert found.details["fee_amount"].eq(np.where(found.details["channel_code"] == "visit", 0.0, 1.5)).all()


def test_without_a_channel_model_no_provision_is_claimed():
    found = run(book(20) | {"channel_scores": None}, provision_weight=1.0)
    assert found.decisions["provision_avoided_amount"].isna().all() and found.decisions["value_amount"].isna().all()


def test_a_table_whose_shares_never_grow_asks_for_no_more() -> None:
    def table(*shares: float | None, line: str = "micro") -> pd.DataFrame:
        days = range(0, 30 * len(shares), 30)
        return pd.DataFrame({"line_code": line, "min_days": days, "provision_share": shares}).sample(
            frac=1, random_state=1
        )

    for shares in ((), (0.1,), (0.1, 0.1), (0.2, 0.1), (None, None), (0.1, None)):
        assert not asks_for_more(table(*shares)), shares
    for shares in ((0.0, 0.1), (0.2, 0.1, 0.15), (0.1, None, 0.2)):
        assert asks_for_more(table(*shares)), shares
    # one line never takes the share of another
    assert not asks_for_more(pd.concat([table(0.1), table(0.5, line="consumo")]))


def test_channels_that_can_be_charged_are_by_the_rules_alone() -> None:
    found = worlds.policies()
    fees = [entry for entry in found.rules if entry.rule.kind == "fee"]
    assert fees and chargeable_channels(found, list(COSTS)) == tuple(
        channel for channel in COSTS if any(channel in entry.rule.channels for entry in fees)
    )
    none = found.model_copy(update={"rules": tuple(one for one in found.rules if one.rule.kind != "fee")})
    assert chargeable_channels(none, list(COSTS)) == ()
    never = [entry.model_copy(update={"rule": entry.rule.model_copy(update={"n": 0})}) for entry in fees]
    assert chargeable_channels(none.model_copy(update={"rules": (*none.rules, *fees, *never)}), list(COSTS)) == ()
