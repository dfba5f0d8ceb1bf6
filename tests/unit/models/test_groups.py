from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.default_risk.evaluate import stability_verdict, standing
from models.groups import NOT_RECORDED, age_groups, calibration_by_group, disparity
from models.metrics import compared_with_interval, stability_index


def _rows(count: int = 6_000, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    p = random.beta(1, 8, count)
    return (random.random(count) < p).astype(float), p, np.arange(count)


def test_the_ratio_by_hand() -> None:
    # Group a: 3 of 4 seen, .25 * 4 = 1 expected, ratio 3. Sums of (outcome - .25) by member: .75 * 3 and -.25 once, so
    # 3 * .5625 + .0625 = 1.75, more than 4 * .25 * .75 = .75; sqrt(1.75) / 1 = 1.3229; 3 +- 1.96 * 1.3229.
    found = calibration_by_group(
        np.array([1.0, 1, 1, 0, 0]), np.array([0.25] * 5), np.array(["a"] * 4 + ["b"]), np.arange(5), draws=5
    )
    a, b = found
    assert (a["value"], a["row_count"], a["event_count"], a["expected_count"]) == ("a", 4, 3.0, 1.0)
    assert a["ratio"]["value"] == 3.0
    assert a["ratio"]["high"] == pytest.approx(3 + 1.96 * math.sqrt(1.75))
    assert a["verdict"] == b["verdict"] == "few"


def test_only_the_wrong_group_is_called_wrong() -> None:
    y, p, members = _rows(20_000)
    group = np.array(["north", "south", "east", "west"], dtype=object)[members % 4]
    said = np.where(group == "east", p * 0.6, p)
    verdicts = {r["value"]: r["verdict"] for r in calibration_by_group(y, said, group, members, draws=10)}
    assert verdicts == {"north": "ok", "south": "ok", "east": "low", "west": "ok"}
    twice = calibration_by_group(y, np.minimum(p * 1.8, 1), group, members, draws=10)
    assert {row["verdict"] for row in twice} == {"high"}


def test_rows_of_one_member_are_one_piece_of_evidence() -> None:
    y, p, members = _rows(2_000)
    once, same, naive = (
        calibration_by_group(np.tile(y, k), np.tile(p, k), np.full(2_000 * k, "a"), who, draws=2)[0]["ratio"]
        for k, who in ((1, members), (4, np.tile(members, 4)), (4, np.arange(8_000)))
    )
    assert same["high"] - same["low"] == pytest.approx(once["high"] - once["low"], rel=0.03)
    assert naive["high"] - naive["low"] == pytest.approx((once["high"] - once["low"]) / 2, rel=0.03)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.sampled_from(["a", "b", None]), min_size=20, max_size=60), st.integers(0, 100))
def test_groups_add_up_to_the_whole(groups: list[str | None], seed: int) -> None:
    random = np.random.default_rng(seed)
    p = random.random(len(groups))
    y = (random.random(len(groups)) < p).astype(float)
    rows = disparity(y, p, np.array(groups, dtype=object), np.arange(len(groups)), draws=3)
    assert sum(row["row_count"] for row in rows) == len(groups)
    assert sum(row["event_count"] for row in rows) == y.sum()
    assert sum(row["expected_count"] for row in rows) == pytest.approx(p.sum())
    assert {row["value"] for row in rows} == {NOT_RECORDED if g is None else g for g in groups}
    selected = sum(row["selected_rate"]["value"] * row["row_count"] for row in rows)
    assert selected == pytest.approx(round(len(groups) * 0.1))


def test_a_disparity_by_hand() -> None:
    # Ten people; the top tenth is the one with .9 (of group a). a: 1 of 6 selected, b: 0 of 4.
    p = np.array([0.9, 0.5, 0.4, 0.3, 0.2, 0.1, 0.6, 0.5, 0.4, 0.2])
    y = np.array([1.0, 1, 0, 0, 0, 0, 1, 0, 0, 0])
    rows = disparity(y, p, np.array(["a"] * 6 + ["b"] * 4), np.arange(10), draws=20)
    a, b = rows
    assert a["is_reference"] and not b["is_reference"]
    assert a["selected_rate"]["value"] == pytest.approx(1 / 6)
    assert a["selected_ratio"]["value"] == 1.0
    assert b["selected_ratio"]["value"] == 0.0
    assert a["false_negative_rate"]["value"] == 0.5
    assert a["false_positive_rate"]["value"] == 0.0
    assert b["false_negative_rate"]["value"] == 1.0
    assert a["mean_probability"]["value"] == pytest.approx(0.4)
    assert b["event_rate"]["value"] == 0.25
    assert b["auc"]["value"] == 1.0


def test_ages_are_whole_years_at_the_date() -> None:
    born = pd.Series(["2000-07-01", "2000-06-30", None, "1950-01-01"])
    day = pd.Series(pd.to_datetime(["2025-06-30"] * 4))
    assert age_groups(born, day).tolist() == ["-24", "25-34", None, "65+"]


def test_the_paired_difference_is_narrower_than_the_single_ones() -> None:
    y, p, members = _rows(4_000)
    worse = np.clip(p + np.random.default_rng(1).normal(0, 0.03, len(p)), 1e-3, 1)
    metrics, differences = compared_with_interval(y, {"own": p, "other": worse}, members, draws=60)
    paired = differences["other"]["auc"]
    assert paired["value"] == pytest.approx(metrics["own"]["auc"]["value"] - metrics["other"]["auc"]["value"])
    alone = metrics["own"]["auc"]
    assert paired["high"] - paired["low"] < 0.7 * (alone["high"] - alone["low"])
    assert standing("auc", paired) == "ahead"
    assert standing("auc", {"value": -0.02, "low": -0.03, "high": -0.01}) == "behind"
    assert standing("log_loss", {"value": -0.02, "low": -0.03, "high": -0.01}) == "ahead"


def test_stability_in_words() -> None:
    assert [stability_verdict(value) for value in (0.0, 0.0999, 0.1, 0.2499, 0.25)] == [
        "stable",
        "stable",
        "watch",
        "watch",
        "moved",
    ]
    reference = {"edges": [0.5], "counts": [0.0, 10.0, 10.0]}
    sample = np.array([0.0, 0.0, 1.0])
    twice = stability_index(reference, np.array([0.0, 0.0, 1.0, 1.0]))
    assert stability_index(reference, sample, np.array([1.0, 1.0, 2.0])) == pytest.approx(twice)


def test_the_calibration_error_of_a_group_lies_within_its_interval() -> None:
    y, p, members = _rows(2_000)
    group = np.array(["north", "south"], dtype=object)[members % 2]
    for row in calibration_by_group(y, p, group, members, draws=40):
        assert row["ece"]["low"] <= row["ece"]["value"] <= row["ece"]["high"]
        assert row["ece"]["low"] == pytest.approx(0.0, abs=0.01)
