"""The report by hand: whose payments count and when, the money, and each verdict."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from puntual.experiments.report import COLUMNS, VERDICTS, latest, outcomes, report
from puntual.experiments.statistics import SAMPLE_RATIO_ALPHA, widening
from puntual.kpis.analytic_recovery import experiments
from puntual.kpis.values import KpiValues
from tests.unit.experiments.test_assign import registered

START = date(2026, 7, 1)


def paid(*rows: tuple[str, str, float]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["customer_id", "paid_date", "payment_amount"]).astype(
        {"paid_date": "datetime64[us]"}
    )


def entered(sizes: dict[str, int], day: date = START) -> pd.DataFrame:
    names = [(f"{arm}{number}", arm) for arm, size in sizes.items() for number in range(size)]
    frame = pd.DataFrame(names, columns=["customer_id", "arm_code"])
    return frame.assign(experiment_id="one", entered_date=day)


def test_only_the_window_counts_and_the_day_of_entering_is_before_it() -> None:
    one = registered(metric={"window_days": 7, "covariate_days": 30}).experiment
    frame = outcomes(
        one,
        entered({"held": 3}),
        paid(
            ("held0", "2026-07-01", 5),  # the day of entering: before
            ("held0", "2026-07-02", 10),
            ("held0", "2026-07-08", 20),
            ("held0", "2026-07-09", 40),  # the window is over
            ("held0", "2026-06-01", 80),  # 30 days before: too old
            ("held0", "2026-06-02", 160),
            ("held1", "2026-07-03", -9),  # more went back than came
            ("stranger", "2026-07-03", 1),
        ),
    )
    assert frame["metric"].tolist() == [30.0, 0.0, 0.0]
    assert frame["covariate"].tolist() == [165.0, 0.0, 0.0]
    assert frame["matured_date"].dt.date.tolist() == [date(2026, 7, 8)] * 3
    any_ = registered(metric={"name": "paid_any", "window_days": 7}).experiment
    assert outcomes(any_, entered({"held": 1}), paid(("held0", "2026-07-02", 10)))["metric"].tolist() == [1.0]


def book(effect: float, sizes: dict[str, int] | None = None) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Payments of 40 and 20 in turn in the control; the product's members pay ``effect`` more; all on the third day."""
    members = entered(sizes or {"product": 400, "held": 100})
    amount = np.where(np.arange(len(members)) % 2 == 0, 40.0, 20.0) + effect * (members["arm_code"] == "product")
    day = pd.Timestamp("2026-07-03")
    return members, pd.DataFrame({"customer_id": members["customer_id"], "paid_date": day, "payment_amount": amount})


def of(members: pd.DataFrame, payments: pd.DataFrame, as_of: date, **changes: Any) -> pd.Series:
    frame = report([registered(metric={"window_days": 7}, **changes)], members, payments, as_of)
    assert list(frame.columns) == list(COLUMNS) and set(frame["verdict_code"]) <= set(VERDICTS)
    return latest(frame).set_index("arm_code").loc["product"]


def test_the_money_is_the_difference_times_the_treated_and_so_is_its_interval() -> None:
    row = of(*book(6.0), START + timedelta(days=30))
    # 36 - 30; both arms scatter by 10: variances 100 * 400/399 / 400 and 100 * 100/99 / 100
    error = np.sqrt(100 / 399 + 100 / 99)
    assert row["difference_value"] == pytest.approx(6.0) and row["adjusted_value"] == pytest.approx(6.0)
    assert row["difference_low"] == pytest.approx(6 - 1.959964 * error)
    half = widening(500, 0.05, 2000) * error
    assert (row["anytime_low"], row["anytime_high"]) == (pytest.approx(6 - half), pytest.approx(6 + half))
    assert row["incremental_value"] == pytest.approx(2400.0)
    assert row["incremental_low"] == pytest.approx(400 * (6 - half))
    assert row["verdict_code"] == "better" and row["metric_mean"] == pytest.approx(36.0)
    values = KpiValues(date(2026, 7, 31))
    experiments(values, pd.DataFrame([row]))
    parts = {item["detail_code"]: item["numerator"] for item in values.rows if item["period_code"] == "day"}
    assert parts == {
        "one": pytest.approx(2400.0),
        "one:low": pytest.approx(400 * (6 - half)),
        "one:high": pytest.approx(400 * (6 + half)),
    }


def test_every_verdict() -> None:
    late = START + timedelta(days=30)
    assert of(*book(0.0), late)["verdict_code"] == "open"
    assert of(*book(-6.0), late)["verdict_code"] == "worse"
    assert of(*book(6.0), START + timedelta(days=10))["verdict_code"] == "too_early"
    assert of(*book(6.0), START + timedelta(days=6))["verdict_code"] == "too_few"  # no window has passed
    few = of(*book(6.0, {"product": 200, "held": 50}), late)
    assert few["verdict_code"] == "too_few" and few["difference_value"] == pytest.approx(6.0)
    assert pd.isna(few["anytime_low"])
    broken = of(*book(6.0, {"product": 300, "held": 200}), late)
    assert broken["verdict_code"] == "sample_ratio" and broken["sample_ratio_probability"] < 1e-6
    values = KpiValues(late)
    experiments(values, pd.DataFrame([broken]))
    assert not values.rows and "K32_EXPERIMENT" in values.reasons


def test_a_fair_draw_that_is_read_every_day_is_not_called_broken() -> None:
    """Members enter by day and each day is a look; 20 members a day, 60 days, 2,000 fair draws of 80 and 20 in 100."""
    experiment = registered(metric={"window_days": 7})
    random = np.random.default_rng(8)
    days = pd.date_range(START, periods=60)
    # the draws in which some look by itself says broken: these alone can tell the two tests apart
    arms = random.random((2_000, 60 * 20)) < 0.8
    seen = 20 * np.arange(1, 61)
    inside = np.cumsum(arms, axis=1)[:, seen - 1]
    worst = stats.chi2.sf(((inside - 0.8 * seen) ** 2 / (0.16 * seen)).max(axis=1), 1)
    suspect = np.flatnonzero(worst < SAMPLE_RATIO_ALPHA)
    assert len(suspect) >= 2_000 * 5 * SAMPLE_RATIO_ALPHA, "one look at a time errs far more often than it announces"
    alarms = 0
    for draw in suspect:
        members = pd.DataFrame({"customer_id": np.arange(60 * 20).astype(str)})
        members["arm_code"] = np.where(arms[draw], "product", "held")
        members = members.assign(experiment_id="one", entered_date=np.repeat(days, 20))
        frame = report([experiment], members, paid(), START + timedelta(days=59))
        assert (frame["sample_ratio_probability"] < SAMPLE_RATIO_ALPHA).any()
        alarms += (frame["verdict_code"] == "sample_ratio").any()
    assert alarms <= 2_000 * SAMPLE_RATIO_ALPHA * 2


def test_a_day_has_a_row_per_arm_and_what_is_not_begun_has_none() -> None:
    members, payments = book(6.0)
    frame = report([registered(metric={"window_days": 7})], members, payments, START + timedelta(days=9))
    assert len(frame) == 2 * 10
    held = frame[frame["arm_code"] == "held"]
    assert held["exposed_count"].tolist() == [100] * 10
    assert held["matured_count"].tolist() == [0] * 7 + [100] * 3
    assert held["verdict_code"].unique().tolist() == ["control"]
    assert report([registered()], members, payments, START - timedelta(days=1)).empty
    assert report([registered(enabled=False)], members, payments, START).empty


def test_alpha_is_shared_by_the_comparisons() -> None:
    three = [
        {"code": "product", "share": 0.5, "policy": "puntual"},
        {"code": "steps", "share": 0.25, "policy": "ladder"},
        {"code": "held", "share": 0.25, "policy": "hold_out"},
    ]
    members, payments = book(6.0, {"product": 400, "steps": 200, "held": 200})
    frame = latest(report([registered(arms=three, metric={"window_days": 7})], members, payments, date(2026, 8, 1)))
    row = frame.set_index("arm_code").loc["product"]
    error = np.sqrt(100 / 399 + 100 / 199)
    # the ends for 0.05 / 2: 2.2414 standard errors
    assert row["alpha_rate"] == 0.025
    assert row["difference_high"] == pytest.approx(6 + 2.241403 * error, rel=1e-5)


def test_a_home_without_experiments_says_why_there_is_no_figure() -> None:
    nobody = pd.DataFrame(columns=["experiment_id", "customer_id", "arm_code", "entered_date"])
    frame = report((), nobody, paid(), START)
    assert frame.empty and list(frame.columns) == list(COLUMNS)
    values = KpiValues(START)
    experiments(values, latest(frame))
    assert not values.rows and "K32_EXPERIMENT" in values.reasons
    begun = report([registered()], nobody, paid(), START)
    assert latest(begun)["exposed_count"].tolist() == [0, 0]
