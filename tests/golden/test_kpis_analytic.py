"""KPIs that Python measures, on a handful of rows with the arithmetic beside each figure."""

from __future__ import annotations

import math
from datetime import date
from typing import Any

import numpy as np
import pandas as pd
import pytest

from models.metrics import (
    average_precision,
    calibration_line,
    kolmogorov_smirnov,
    quality,
    reference_bins,
    stability_index,
)
from models.monitoring import model_quality, plan_value
from puntual.kpis import analytic_data, analytic_lists, analytic_recovery
from puntual.kpis.statistics import (
    Z95,
    mean_difference,
    qini,
    rank_biased_overlap,
    residual_scale,
    shrink,
    sum_interval,
)
from puntual.kpis.values import KpiValues, period_start

AS_OF = date(2026, 6, 30)


def parts(
    values: KpiValues, code: str, detail: str | None = None, *, period: str = "month", **keys: Any
) -> tuple[Any, Any]:
    (row,) = [
        row
        for row in values.rows
        if (row["kpi_code"], row["detail_code"], row["period_code"]) == (code, detail, period)
        and row["grain_code"] == keys.get("grain", "total")
        and all(row[name] == value for name, value in keys.items() if name != "grain")
    ]
    return row["numerator"], row["denominator"]


def decided(**columns: Any) -> pd.DataFrame:
    size = len(next(iter(columns.values())))
    base = {
        "as_of_date": [pd.Timestamp(2026, 6, 20)] * size,
        "customer_id": [f"C{place}" for place in range(size)],
        "action": ["call"] * size,
        "collector_id": ["G1"] * size,
        "is_exploration": [False] * size,
        "expected_gain_amount": [0.0] * size,
        "arrears_amount": [100.0] * size,
        "branch_id": ["B1"] * size,
        "province": ["Azuay"] * size,
        "segment_code": ["early"] * size,
        "pay_probability": [0.5] * size,
        "expected_amount": [100.0] * size,
        "paid_amount": [0.0] * size,
    }
    return pd.DataFrame({**base, **columns})


def test_k30_sum_of_probability_times_amount_and_gain() -> None:
    values = KpiValues(AS_OF)
    # 0.5 x 100 + 0, and 0.2 x 50 + 5 (its chance becomes 0.2 + 5 / 50 = 0.3): 65 in all.
    # Variance 0.5 x 0.5 x 100^2 + 0.3 x 0.7 x 50^2 = 2500 + 525; no past payment widens it.
    rows = decided(
        pay_probability=[0.5, 0.2],
        expected_amount=[100.0, 50.0],
        expected_gain_amount=[0.0, 5.0],
        branch_id=["B1", "B2"],
        province=["Azuay", "Loja"],
    )
    analytic_recovery.expected_recovery(values, rows, rows.iloc[:0])
    assert parts(values, "K30") == (pytest.approx(65.0), 1.0)
    assert parts(values, "K30", "high")[0] == pytest.approx(65 + Z95 * math.sqrt(3025))
    assert parts(values, "K30", "low")[0] == 0.0  # 65 - 107.8: money does not go below nothing
    assert parts(values, "K30", grain="branch", branch_id="B2")[0] == pytest.approx(15.0)
    assert parts(values, "K30", grain="province", province="Loja")[0] == pytest.approx(15.0)


def test_k30_interval_widens_with_the_scatter_of_past_payments() -> None:
    # Expected 50 with variance 2500 each; paid 150 and 50: squares 10000 and 0 over 5000: twice, so sqrt(2) as wide.
    assert residual_scale(np.array([150.0, 50.0]), np.array([50.0, 50.0]), np.array([2500.0, 2500.0])) == pytest.approx(
        math.sqrt(2)
    )
    assert sum_interval(np.array([500.0]), np.array([100.0]), 2.0) == pytest.approx(
        (500, 500 - Z95 * 20, 500 + Z95 * 20)
    )


def test_k30_says_why_without_scores() -> None:
    values = KpiValues(AS_OF)
    rows = decided(pay_probability=[math.nan])
    analytic_recovery.expected_recovery(values, rows, rows)
    assert values.rows == []
    assert values.status()[["kpi_code", "as_of_date"]].to_numpy().tolist() == [["K30", AS_OF]]


def test_k30_horizon_is_the_models_totals_with_their_interval() -> None:
    values = KpiValues(AS_OF)
    columns = ["grain_code", "branch_id", "segment_code", "expected_recovery_amount", "low", "high"]
    totals = pd.DataFrame(
        [
            ("total", None, None, 300.0, 250.0, 350.0),
            ("branch", "B1", None, 300.0, 240.0, 360.0),
            ("segment", None, "early", 300.0, 230.0, 370.0),
        ],
        columns=columns,
    )
    analytic_recovery.horizon_recovery(values, totals)
    assert parts(values, "K30_HORIZON") == (300.0, 1.0)
    assert parts(values, "K30_HORIZON", "low", grain="branch", branch_id="B1")[0] == 240.0
    assert parts(values, "K30_HORIZON", "high", grain="segment", segment_code="early")[0] == 370.0
    empty = KpiValues(AS_OF)
    analytic_recovery.horizon_recovery(empty, totals.head(0))
    assert empty.rows == [] and list(empty.status()["kpi_code"]) == ["K30_HORIZON"]


def test_k31_paid_over_expected() -> None:
    values = KpiValues(AS_OF)
    # Expected 50 + 50 + 10; paid 100 + 0 + 10.
    rows = decided(
        pay_probability=[0.5, 0.5, 0.1], paid_amount=[100.0, 0.0, 10.0], segment_code=["early", "early", "late"]
    )
    analytic_recovery.recovery_against_expected(values, rows, "month")
    assert parts(values, "K31") == (110.0, pytest.approx(110.0))
    assert parts(values, "K31", grain="province", province="Azuay") == (110.0, pytest.approx(110.0))
    assert parts(values, "K31", grain="segment", segment_code="late") == (10.0, pytest.approx(10.0))


def test_k32_difference_of_drawn_arms() -> None:
    values = KpiValues(AS_OF)
    size = 40
    # Half drawn for a contact with chance 0.5: 30 of the 40 pay 10 each; of the 40 left alone 10 do. 7.5 - 2.5 = 5.
    treated = [1] * size + [0] * size
    paid = [10.0] * 30 + [0.0] * 10 + [10.0] * 10 + [0.0] * 30
    rows = decided(
        paid_amount=paid,
        was_drawn_contact=treated,
        drawn_contact_probability=[0.5] * 80,
        drawn_gain_amount=[1.0] * 80,
    )
    analytic_recovery.incremental_recovery(values, rows, contact_count=200)
    assert parts(values, "K32_PER_CONTACT")[0] == pytest.approx(5.0)
    assert parts(values, "K32")[0] == pytest.approx(1000.0)
    # Variance of each mean: 0.75 x 0.25 x 100 / 40.
    half = Z95 * math.sqrt(2 * 18.75 / 40)
    assert parts(values, "K32_PER_CONTACT", "low")[0] == pytest.approx(5 - half)


def test_k32_does_not_speak_of_a_handful_and_not_of_those_who_had_no_choice() -> None:
    values = KpiValues(AS_OF)
    rows = decided(
        paid_amount=[10.0] * 80, was_drawn_contact=[1] * 40 + [0] * 40, drawn_contact_probability=[0.5] * 69 + [0.0] * 11,
        drawn_gain_amount=[1.0] * 80,
    )  # fmt: skip
    analytic_recovery.incremental_recovery(values, rows, 10)  # 40 drawn, 29 comparable left alone
    assert values.rows == []
    assert "29" in values.reasons["K32"][0]


def test_k32_weighs_unequal_chances() -> None:
    # Two strata: those easily drawn (0.8) pay 10 anyway, the others (0.2) nothing anyway. The plain difference of means
    # would be 8 - 2; weighed by chance it is 0.
    treated = np.array([True] * 8 + [False] * 2 + [True] * 2 + [False] * 8)
    paid = np.array([10.0] * 10 + [0.0] * 10)
    chance = np.array([0.8] * 10 + [0.2] * 10)
    assert mean_difference(paid, treated, chance)[0] == pytest.approx(0.0)
    # What was known before explains everything here: nothing is left to scatter.
    _, low, high = mean_difference(paid, treated, chance, covariate=paid)
    assert high - low == pytest.approx(0.0, abs=1e-9)


def test_k61_drawn_to_the_mean_and_k35_of_the_agency() -> None:
    values = KpiValues(AS_OF)
    # 20 lines each, expected 50 a line: 1000. G1 gets 1500 (+0.5), G2 1000 (0), G3 500 (-0.5).
    rows = pd.concat(
        [
            decided(
                collector_id=[name] * 20,
                customer_id=[f"{name}{k}" for k in range(20)],
                paid_amount=[100.0] * payers + [0.0] * (20 - payers),
            )
            for name, payers in (("G1", 15), ("G2", 10), ("G3", 5))
        ],
        ignore_index=True,
    )
    collectors = pd.DataFrame({"collector_id": ["G1", "G2", "G3"], "agency": [None, None, "Andina"]})
    analytic_recovery.collector_effectiveness(values, rows, collectors, window_days=7)
    # All squares are 50^2, as payers and non-payers alone explain: variance of a ratio 20 x 2500 / 1000^2 = 0.05.
    # Scatter: (0.25 + 0.25) / 0.05 = 10, less 2, over (60 - 20) = 0.2 spread; trust 0.2 / 0.25 = 0.8: +0.4, 0, -0.4.
    assert parts(values, "K61", "raw", grain="collector", collector_id="G1") == (
        pytest.approx(500),
        pytest.approx(1000),
    )
    assert parts(values, "K61", grain="collector", collector_id="G1")[0] == pytest.approx(400)
    assert parts(values, "K61", grain="collector", collector_id="G3")[0] == pytest.approx(-400)
    # 500 - 1000 over a placed balance of 20 x 100.
    assert parts(values, "K35", grain="agency", agency="Andina") == (pytest.approx(-500), 2000.0)


def test_k61_counts_a_member_once_in_a_window() -> None:
    values = KpiValues(AS_OF)
    days = [pd.Timestamp(2026, 6, day) for day in (1, 3, 8)]  # the third is seven days after the first
    rows = decided(as_of_date=days * 5, customer_id=[f"C{place // 3}" for place in range(15)])
    analytic_recovery.collector_effectiveness(values, rows, pd.DataFrame({"collector_id": ["G1"], "agency": [None]}), 7)
    assert parts(values, "K61", "raw", grain="collector", collector_id="G1")[1] == pytest.approx(10 * 50)


def test_k53_on_the_next_working_day() -> None:
    values = KpiValues(AS_OF)
    # Friday 26 June: due Monday 29 (done). Monday 29: due Tuesday 30, a day with nothing. A promise whose grace ended on
    # Thursday 25: due Friday 26, called on Saturday: late. A callback of Tuesday 30 is not due yet.
    callbacks = pd.DataFrame(
        {"customer_id": ["A", "B", "D"], "occurred_date": pd.to_datetime(["2026-06-26", "2026-06-29", "2026-06-30"])}
    )
    broken = pd.DataFrame({"customer_id": ["C"], "grace_end_date": pd.to_datetime(["2026-06-25"])})
    attempts = pd.DataFrame({"customer_id": ["A", "C"], "occurred_date": pd.to_datetime(["2026-06-29", "2026-06-27"])})
    for period in ("month", "day"):
        analytic_lists.follow_ups(
            values, callbacks, broken, attempts, period, first=period_start(AS_OF, period), is_holiday=lambda day: False
        )
    assert parts(values, "K53") == (1.0, 3.0)
    assert parts(values, "K53", "callback") == (1.0, 2.0)
    assert parts(values, "K53", "broken_promise") == (0.0, 1.0)
    assert parts(values, "K53", period="day") == (0.0, 1.0)


def test_k56_blocked_by_rule() -> None:
    values = KpiValues(AS_OF)
    details = pd.DataFrame(
        {
            "channel_code": ["call", "sms", "call", "sms"],
            "is_allowed": [True, False, False, True],
            "blocked_by": ["[]", '["R1"]', '["R1","R2"]', "[]"],
        }
    )
    analytic_lists.blocked_contacts(values, details)
    analytic_lists.violations(values, {"violation_count": 0})
    assert parts(values, "K56_BLOCKED") == (2.0, 4.0)
    assert parts(values, "K56_BLOCKED", "R1") == (2.0, 4.0)
    assert parts(values, "K56_BLOCKED", "R2") == (1.0, 4.0)
    assert parts(values, "K56_BLOCKED", grain="channel", channel_code="sms") == (1.0, 2.0)
    assert parts(values, "K56") == (0.0, 1.0)


def test_k91_gap_and_prices() -> None:
    values = KpiValues(AS_OF)
    prices = pd.DataFrame({"capacity_name": ["visits"], "price_amount": [0.97]})
    analytic_lists.allocation(
        values, {"gap_rate": 0.02, "dual_bound_amount": 500.0, "planned_value_amount": 490.0}, prices
    )
    assert parts(values, "K91") == (10.0, 500.0)
    assert parts(values, "K91_SHADOW_PRICE", "visits") == (0.97, 1.0)


def test_k92_first_places_weigh_most() -> None:
    # Depth 1: 0 in common; depth 2: both. With persistence 0.5: (0 x 1 + 1 x 0.5) / 1.5.
    assert rank_biased_overlap(["a", "b"], ["b", "a"], persistence=0.5) == pytest.approx(1 / 3)
    # Depths: 1/1, 1/2, 1/3 with weights 1, 0.5, 0.25.
    assert rank_biased_overlap(["a"], ["a", "b", "c"], persistence=0.5) == pytest.approx((1 + 0.25 + 0.25 / 3) / 1.75)


def test_k94_group_over_everyone() -> None:
    values = KpiValues(AS_OF)
    # 2 of 3 women, 1 of 1 man contacted; one without a known gender was not: 3 of 5 in all.
    rows = pd.DataFrame({"action": ["call", "sms", "none", "call", "none"], "gender": ["F", "F", "F", "M", None]})
    analytic_lists.evenness(values, rows, ["gender"])
    assert parts(values, "K94", "gender:f") == (pytest.approx(2 / 3), pytest.approx(0.6))
    assert parts(values, "K94", "gender:m") == (pytest.approx(1.0), pytest.approx(0.6))


def test_k95_age_and_refused_rows() -> None:
    values = KpiValues(AS_OF)
    analytic_data.freshness(
        values, {"payments": date(2026, 6, 29), "promises": date(2026, 6, 25), "message_events": None}
    )
    assert parts(values, "K95") == (5.0, 1.0)
    assert parts(values, "K95", "payments") == (1.0, 1.0)
    loads = pd.DataFrame(
        {
            "table_name": ["payments", "loans"],
            "row_count": [100, 50],
            "rejected_count": [7, 0],
            "superseded_count": [4, 0],
        }
    )
    analytic_data.rejected_rows(values, loads)
    # Four of the seven gave way to a newer version of their key.
    assert parts(values, "K95_REJECTED") == (3.0, 150.0)
    assert parts(values, "K95_REJECTED", "payments") == (3.0, 100.0)


def test_k86_and_k87_by_hand() -> None:
    outcome, score = np.array([1.0, 0.0, 1.0, 0.0]), np.array([0.9, 0.6, 0.4, 0.1])
    # Pairs: (0.9, 0.6), (0.9, 0.1), (0.4, 0.1) right, (0.4, 0.6) wrong. Precision at the events: 1/1 and 2/3.
    # Squares: 0.01, 0.36, 0.36, 0.01.
    found = quality(outcome, score)
    assert found["auc"] == 0.75
    assert average_precision(outcome, score) == pytest.approx((1 + 2 / 3) / 2)
    assert found["brier"] == pytest.approx(0.185)
    # At 0.4: no event below it, half of the others; at 0.6: half of the events, all others.
    assert kolmogorov_smirnov(outcome, score) == 0.5


def test_k87_line_of_a_probability_that_is_twice_too_sure() -> None:
    # Log odds are doubled: what is said to be 0.9 or 0.1 happens at sigmoid(logit / 2) = 0.75 and 0.25.
    outcome = np.array([1.0] * 75 + [0.0] * 25 + [1.0] * 25 + [0.0] * 75)
    said = np.array([0.9] * 100 + [0.1] * 100)
    intercept, slope = calibration_line(outcome, said)
    assert intercept == pytest.approx(0.0, abs=1e-6)
    assert slope == pytest.approx(math.log(3) / math.log(9), abs=1e-3)


def test_k86_takes_the_card_until_scores_have_matured() -> None:
    values = KpiValues(AS_OF)
    card = {"auc": 0.8, "brier": 0.1}
    assert model_quality(values, "default", np.ones(3), np.full(3, 0.5), card)
    assert parts(values, "K86", "default|card") == (0.8, 1.0)
    outcome = np.array([1.0] * 20 + [0.0] * 20)
    assert model_quality(values, "default", outcome, outcome * 0.8 + 0.1, card)
    assert parts(values, "K86", "default|matured") == (1.0, 1.0)
    assert not model_quality(values, "payment", np.zeros(0), np.zeros(0), None)


def test_k88_by_hand() -> None:
    # Two halves become nine tenths and one: (0.9 - 0.5) ln(0.9 / 0.5) + (0.1 - 0.5) ln(0.1 / 0.5), half a row smoothed in.
    reference = reference_bins(np.array([0.0] * 500 + [1.0] * 500))
    now = np.array([0.0] * 900 + [1.0] * 100)
    assert stability_index(reference, now) == pytest.approx(0.4 * math.log(1.8) + 0.4 * math.log(5), rel=0.01)
    assert stability_index(reference, np.array([0.0, 1.0] * 500)) == pytest.approx(0.0)


def test_k89_of_a_perfect_and_of_a_turned_order() -> None:
    # Contacts work for the first half alone: 10 more each.
    gain = np.array([2.0] * 200 + [1.0] * 200)
    treated = np.array([True, False] * 200)
    paid = np.where(treated & (gain == 2.0), 10.0, 0.0)
    chance = np.full(400, 0.5)
    # Per member: the curve rises to 5 at the middle and stays; the line reaches 5 at the end: the area between is 1.25.
    assert qini(gain, paid, treated, chance) == pytest.approx(1.25, abs=0.05)
    assert qini(-gain, paid, treated, chance) == pytest.approx(-1.25, abs=0.05)


def test_k90_of_a_card_and_without_one() -> None:
    values = KpiValues(AS_OF)
    interval = {"value": 12.0, "low": 7.0, "high": 17.0}
    card = {
        "evaluation": {
            "split": "time", "chosen": "x", "value_per_member_week": {"x": interval}, "against_habit": {"x": interval},
            "overlap": {"effective_sample": 670.0, "planned_count": 1340}, "supported_share": {"call": 1.0, "sms": 0.5},
        }
    }  # fmt: skip
    plan_value(values, card)
    assert parts(values, "K90", "low") == (7.0, 1.0)
    assert parts(values, "K90_ESS") == (670.0, 1340.0)
    assert parts(values, "K90_OVERLAP") == (0.75, 1.0)
    empty = KpiValues(AS_OF)
    plan_value(empty, {"evaluation": {"split": None, "reason": "3 weeks"}})
    assert set(empty.reasons) == {"K90", "K90_AGAINST_HABIT", "K90_ESS", "K90_OVERLAP"}


def test_shrinkage_without_scatter_is_the_mean() -> None:
    # 0.1 and -0.1 with variance 1: less scatter than noise alone would make.
    found = shrink([0.1, -0.1], [1.0, 1.0])
    assert found.value.tolist() == pytest.approx([0.0, 0.0])
    assert found.spread == 0.0
