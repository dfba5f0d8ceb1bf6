"""A perfectly calibrated champion is not called miscalibrated by chance, and a broken one is."""

from __future__ import annotations

from datetime import date, timedelta
from types import SimpleNamespace

import numpy as np
import pytest
from scipy.special import expit

from models.default_risk.promotion import Evidence, decide
from models.limits import alarms, load_limits
from models.metrics import auc, calibration_line, ece, ece_interval, slope_interval
from models.monitoring import ALARM_EVENTS, matured_measures

DRAWS = 150
AS_OF = date(2026, 6, 30)
LIMITS = load_limits("default_risk")


def _book(size: int, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Outcomes of exactly these probabilities; a third of the loans in trouble, so that 300 rows have 50 events."""
    p = np.where(random.random(size) < 0.3, random.beta(6, 4, size), random.beta(1, 9, size))
    return (random.random(size) < p).astype(float), p


def _two_loans_each(size: int, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    y, p = _book(size // 2, random)
    return np.repeat(y, 2), np.repeat(p, 2), np.repeat(np.arange(size // 2), 2)


@pytest.mark.parametrize("size", [300, 600])
def test_a_right_champion_raises_hardly_an_alarm(size: int) -> None:
    random = np.random.default_rng(size)
    everybody = _book(200_000, random)
    card = {"auc": auc(*everybody)}
    judged = raised = warned = 0
    for _ in range(DRAWS):
        y, p = _book(size, random)
        measured = matured_measures(y, p, card)
        found = alarms(LIMITS, "default_risk", "default", measured, version="v1")
        judged += bool(measured)
        warned += bool(found)
        raised += any(one.severity == "alarm" for one in found)
    assert judged > 0.95 * DRAWS
    assert raised <= 0.02 * DRAWS
    assert warned <= 0.05 * DRAWS


@pytest.mark.parametrize("size", [300, 600])
@pytest.mark.parametrize("paired", [False, True])
def test_a_right_champion_is_hardly_ever_replaced_as_miscalibrated(size: int, paired: bool) -> None:
    random = np.random.default_rng(size + paired)
    champion = SimpleNamespace(kind="boosted", trained_as_of=AS_OF - timedelta(days=20))
    level = {"log_loss": {"value": 0.01, "low": -0.01, "high": 0.03}}
    replaced = 0
    for _ in range(DRAWS):
        y, p, who = _two_loans_each(size, random) if paired else (*_book(size, random), np.arange(size))
        seen = {"ece": ece_interval(y, p, who, draws=100), "log_loss": {"value": 0.4, "low": 0.3, "high": 0.5}}
        evidence = Evidence((AS_OF,), size, int(y.sum()), seen, seen, level)
        replaced += decide("boosted", champion, evidence, LIMITS.promotion, as_of=AS_OF).code == "calibration"
    assert replaced <= 0.05 * DRAWS


def test_a_broken_champion_is_found() -> None:
    random = np.random.default_rng(1)
    found = []
    for _ in range(30):
        y, p = _book(600, random)
        found.append(
            {
                one.measure
                for one in alarms(LIMITS, "default_risk", "default", matured_measures(y, p / 3, None), version="v1")
            }
        )
    assert sum("ece" in measures for measures in found) >= 27


def test_the_interval_of_the_calibration_error_holds_the_measured_and_the_true_one() -> None:
    random = np.random.default_rng(2)
    for shift in (0.0, 0.1):
        inside = 0
        for _ in range(DRAWS):
            y, p = _book(600, random)
            said = np.clip(p + shift, 0, 1)
            found = ece_interval(y, said, draws=100)
            assert found["low"] <= found["value"] <= found["high"]
            assert found["value"] == ece(y, said)
            inside += found["low"] <= ece(p, said) <= found["high"]
        assert inside >= 0.95 * DRAWS


def test_rows_that_repeat_widen_the_interval_and_do_not_move_it() -> None:
    y, p = _book(500, np.random.default_rng(3))
    once = ece_interval(y, p, np.arange(500))
    same = ece_interval(np.tile(y, 4), np.tile(p, 4), np.tile(np.arange(500), 4))
    naive = ece_interval(np.tile(y, 4), np.tile(p, 4))
    assert same["high"] - same["value"] == pytest.approx(once["high"] - once["value"], rel=0.15)
    assert naive["high"] - naive["value"] < 0.6 * (once["high"] - once["value"])


def test_the_interval_of_the_slope_covers_one_and_ignores_copies() -> None:
    random = np.random.default_rng(4)
    covered = 0
    for _ in range(DRAWS):
        y, p = _book(300, random)
        found = slope_interval(y, p)
        covered += found["low"] <= 1 <= found["high"]
        assert found["value"] == calibration_line(y, p)[1]
    assert covered >= 0.92 * DRAWS
    once, same = slope_interval(y, p), slope_interval(np.tile(y, 4), np.tile(p, 4), np.tile(np.arange(300), 4))
    assert same["high"] - same["low"] == pytest.approx(once["high"] - once["low"], rel=0.15)


@pytest.mark.parametrize("times", [2, 3, 5])
def test_a_score_that_is_far_too_sure_is_said_to_be_and_alarms(times: int) -> None:
    """At a base rate of 5 % the log odds are so many times the true ones: nearly all said is close to 0."""
    random = np.random.default_rng(times)
    odds = -3.5 + 1.1 * random.normal(size=20_000)
    y = (random.random(len(odds)) < expit(odds)).astype(float)
    assert y.mean() == pytest.approx(0.05, abs=0.01)
    said = expit(times * odds)
    intercept, slope = calibration_line(y, said)
    assert slope == pytest.approx(1 / times, rel=0.1)
    assert intercept == pytest.approx(0.0, abs=0.25)
    found = slope_interval(y, said)
    assert found["low"] < 1 / times < found["high"] < 0.6
    raised = {
        one.measure: one
        for one in alarms(LIMITS, "default_risk", "default", matured_measures(y, said, None), version="v1")
    }
    assert raised["calibration_slope"].severity == "alarm"
    assert raised["calibration_slope"].value < 0.6


def test_a_line_that_cannot_be_told_is_not_known_and_never_one() -> None:
    y = np.array([0.0, 1.0] * 100)
    for said in (np.full(200, 0.3), np.where(np.arange(200) == 7, np.nan, 0.3 + 0.2 * y)):
        assert all(np.isnan(part) for part in calibration_line(y, said))
        assert np.isnan(list(slope_interval(y, said).values())).all()
        measured = dict((name, value) for name, _, value in matured_measures(y, said, None))
        assert np.isnan(measured["calibration_slope"])
    assert all(np.isnan(part) for part in calibration_line(np.zeros(5), np.linspace(0.1, 0.9, 5)))


def test_few_events_say_nothing() -> None:
    y = np.zeros(2_000)
    y[: ALARM_EVENTS - 1] = 1
    assert matured_measures(y, np.linspace(0.9, 0.1, 2_000), None) == []
    y[ALARM_EVENTS - 1] = 1
    assert matured_measures(y, np.linspace(0.9, 0.1, 2_000), None) != []
