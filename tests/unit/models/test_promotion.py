from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from models.default_risk.promotion import Evidence, challenger_measures, decide, held, judged_dates, matured_evidence
from models.default_risk.score import CurveTarget, DefaultRiskModel
from models.default_risk.settings import DefaultRiskSettings
from models.default_risk.train import target_rows
from models.estimators import BoosterSettings
from models.limits import PromotionRule, alarms, load_limits

AS_OF = date(2026, 6, 30)
RULE = PromotionRule(
    proof="certain", least_events=20, tolerance=0.01, prefer_newer_after_days=28, max_age_days=90, max_ece=0.03
)
LIKELY = RULE.model_copy(update={"proof": "likely"})


def _champion(kind: str = "boosted", age: int = 30) -> Any:
    return SimpleNamespace(kind=kind, trained_as_of=AS_OF - timedelta(days=age))


def _evidence(
    low: float, value: float, high: float, ece_low: float = 0.001, early: tuple[float, float, float] | None = None
) -> Evidence:
    """The champion's log loss is .2: within a tolerance of .01 lies what is at most .002 above it."""
    ece = {"value": ece_low + 0.01, "low": ece_low, "high": ece_low + 0.02}
    seen = {"ece": ece, "log_loss": {"value": 0.2, "low": 0.1, "high": 0.3}}
    second = None
    if early is not None:
        second = Evidence(
            (AS_OF,), 1_000, 50, seen, seen, {"log_loss": dict(zip(("low", "value", "high"), early, strict=True))}
        )
    return Evidence((AS_OF,), 1_000, 50, seen, seen, {"log_loss": {"value": value, "low": low, "high": high}}, second)


WORSE, LEVEL = (0.001, 0.002, 0.003), (-0.001, 0.002, 0.003)


@pytest.mark.parametrize(
    ("code", "promote", "kind", "champion", "evidence", "rule"),
    [
        ("first", True, "prior", None, None, RULE),
        ("stands_on_less", False, "curve", _champion("boosted"), None, RULE),
        ("stands_on_more", True, "boosted", _champion("curve"), None, RULE),
        ("stands_on_more", True, "curve", _champion("curve"), None, RULE),
        ("same_date", True, "boosted", _champion(age=0), None, RULE),
        ("age", True, "boosted", _champion(age=90), None, RULE),
        ("age", True, "boosted", _champion(age=90), _evidence(-0.001, 0.02, 0.03), RULE),
        ("age", True, "boosted", _champion(age=90), _evidence(0.0, 0.02, 0.03), RULE),
        ("age", True, "boosted", _champion(age=90), Evidence((AS_OF,), 100, 3), RULE),
        ("surely_worse", False, "boosted", _champion(age=90), _evidence(0.0001, 0.001, 0.03), RULE),
        ("surely_worse", False, "boosted", _champion(age=900), _evidence(0.01, 0.02, 0.03), LIKELY),
        ("surely_worse", False, "boosted", _champion(age=90), _evidence(0.01, 0.02, 0.03, ece_low=0.031), RULE),
        ("same_date", True, "boosted", _champion(age=0), _evidence(-0.001, 0.002, 0.003), RULE),
        ("surely_worse", False, "boosted", _champion(age=0), _evidence(0.001, 0.002, 0.003), RULE),
        ("stands_on_more", True, "boosted", _champion("curve"), _evidence(0.01, 0.02, 0.03), RULE),
        ("few_events", False, "boosted", _champion(age=89), None, RULE),
        ("few_events", False, "boosted", _champion(), Evidence((AS_OF,), 100, 3), RULE),
        ("calibration", True, "boosted", _champion(), _evidence(-0.01, 0.02, 0.03, ece_low=0.031), RULE),
        ("surely_worse", False, "boosted", _champion(), _evidence(0.01, 0.02, 0.03, ece_low=0.031), RULE),
        ("calibration", True, "boosted", _champion(), _evidence(-0.03, -0.02, -0.01, 0.031, WORSE), RULE),
        ("early_worse", False, "boosted", _champion(), _evidence(-0.03, -0.02, -0.01, early=WORSE), RULE),
        ("early_worse", False, "boosted", _champion(), _evidence(-0.03, -0.01, 0.001, early=WORSE), RULE),
        ("better", True, "boosted", _champion(age=5), _evidence(-0.03, -0.02, -0.01), RULE),
        ("better", True, "boosted", _champion(age=5), _evidence(-0.03, -0.02, -0.01, early=LEVEL), RULE),
        ("not_better", False, "boosted", _champion(age=27), _evidence(-0.03, -0.01, 0.001), RULE),
        ("better", True, "boosted", _champion(age=5), _evidence(-0.03, -0.01, 0.001), LIKELY),
        ("not_better", False, "boosted", _champion(age=27), _evidence(-0.01, 0.001, 0.03), LIKELY),
        ("newer", True, "boosted", _champion(age=28), _evidence(-0.03, -0.01, 0.001), RULE),
        ("newer", True, "boosted", _champion(age=28), _evidence(-0.01, 0.0019, 0.03), RULE),
        ("not_better", False, "boosted", _champion(age=28), _evidence(-0.01, 0.0021, 0.03), RULE),
        ("surely_worse", False, "boosted", _champion(age=28), _evidence(0.0001, 0.001, 0.002), RULE),
    ],
)
def test_every_branch_of_the_rule(
    code: str, promote: bool, kind: str, champion: Any, evidence: Evidence | None, rule: PromotionRule
) -> None:
    verdict = decide(kind, champion, evidence, rule, as_of=AS_OF)
    assert (verdict.code, verdict.promote) == (code, promote)
    assert verdict.reason_es and verdict.reason_en and verdict.reason_es != verdict.reason_en


def test_a_refusal_as_surely_worse_is_an_alarm_with_what_to_do() -> None:
    worse = decide("boosted", _champion(age=90), _evidence(0.004, 0.02, 0.03), RULE, as_of=AS_OF)
    assert "0,0200 (0,0040 a 0,0300)" in worse.reason_es and "entrene de nuevo" in worse.reason_es
    assert "0.0200 (0.0040 to 0.0300)" in worse.reason_en and "train again" in worse.reason_en
    card = worse.to_card()
    limits = load_limits("default_risk")
    measured = challenger_measures(card["code"], card["evidence"])
    (alarm,) = alarms(limits, "default_risk", "default", measured, version="v1")
    assert (alarm.severity, alarm.value, alarm.retrains) == ("alarm", 0.004, False)
    assert "entrene de nuevo" in alarm.text_es and "train again" in alarm.text_en
    other = decide("boosted", _champion(age=90), _evidence(-0.001, 0.02, 0.03), RULE, as_of=AS_OF).to_card()
    assert challenger_measures(other["code"], other["evidence"]) == []


HOLD = ("Se volvió a v1.", "Version v1 was gone back to.")


@pytest.mark.parametrize(
    ("code", "champion", "evidence"),
    [
        ("age", _champion(age=90), None),
        ("calibration", _champion(), _evidence(-0.01, 0.02, 0.03, ece_low=0.031)),
        ("better", _champion(age=5), _evidence(-0.03, -0.02, -0.01)),
        ("newer", _champion(age=28), _evidence(-0.03, -0.01, 0.001)),
        ("same_date", _champion(age=0), None),
        ("stands_on_more", _champion("curve"), None),
    ],
)
def test_no_branch_replaces_a_champion_that_somebody_went_back_to(
    code: str, champion: Any, evidence: Evidence | None
) -> None:
    rule = decide("boosted", champion, evidence, RULE, as_of=AS_OF)
    assert (rule.code, rule.promote) == (code, True)
    assert held(rule, None) is rule
    found = held(rule, HOLD)
    assert (found.code, found.promote, found.evidence) == ("held", False, rule.evidence)
    assert found.reason_es.startswith(HOLD[0]) and rule.reason_es in found.reason_es
    assert found.reason_en.startswith(HOLD[1]) and rule.reason_en in found.reason_en


def test_a_hold_leaves_refusals_and_what_cannot_be_used_as_they_are() -> None:
    worse = decide("boosted", _champion(age=90), _evidence(0.004, 0.02, 0.03), RULE, as_of=AS_OF)
    columns = decide("prior", None, None, RULE, as_of=AS_OF, fits=False)
    assert held(worse, HOLD) is worse and held(columns, HOLD) is columns


def test_a_champion_of_other_columns_gives_way_to_anything() -> None:
    assert decide("prior", None, None, RULE, as_of=AS_OF, fits=False).code == "columns"


def test_the_figures_are_in_both_sentences() -> None:
    verdict = decide("boosted", _champion(), _evidence(-0.03, -0.02, -0.01), RULE, as_of=AS_OF)
    assert "-0,0200 (-0,0300 a -0,0100)" in verdict.reason_es
    assert "-0.0200 (-0.0300 to -0.0100)" in verdict.reason_en


SMALL = DefaultRiskSettings(bootstrap_draws=40, n_jobs=1, booster=BoosterSettings(rounds=40))


@pytest.fixture(scope="module")
def world(loan_world: Callable):
    return loan_world(members=700, history_start=date(2025, 1, 1))


def _old(world, probability: float, age: int = 60) -> DefaultRiskModel:
    """A champion that says the same of everybody."""
    level = CurveTarget((0.0, 90.0), (probability, probability))
    return DefaultRiskModel(
        AS_OF - timedelta(days=age), SMALL, {n: [] for n in _categories()}, {"default": level, "early_warning": level}
    )


def _categories() -> tuple[str, ...]:
    from models.features import LOAN_FEATURES

    return LOAN_FEATURES.category_names


def _found(world, champion: DefaultRiskModel, labels: pd.DataFrame | None = None, least_events: int = 20) -> Evidence:
    return matured_evidence(
        champion,
        world.features,
        world.labels if labels is None else labels,
        as_of=world.as_of,
        settings=SMALL,
        least_events=least_events,
    )


def test_the_newest_dates_are_judged_and_the_twin_knows_what_matured_before_them(world) -> None:
    champion = _old(world, 0.5)
    found = _found(world, champion)
    days = sorted({day for day in pd.to_datetime(world.features["as_of_date"]).dt.date})
    new = [day for day in days if day > champion.trained_as_of - timedelta(days=182)]
    assert len(new) > 1
    assert found.dates == tuple(new[-1:])  # it has more than twenty events
    assert found.difference["log_loss"]["high"] < 0
    early = found.early_warning
    assert early is not None and early.dates == () and early.difference == {}  # the newest matured for it before
    older = _found(world, _old(world, 0.5, age=120)).early_warning
    assert older is not None and older.difference["log_loss"]["high"] < 0
    # Labels that matured after the champion's training, before those judged, change the twin; the judged ones do not.
    when = world.labels["as_of_date"].dt.date
    between = when.isin(new[:-1])
    turned = {
        name: world.labels.assign(is_default=np.where(mask, ~world.labels["is_default"], world.labels["is_default"]))
        for name, mask in (("between", between), ("judged", when == new[-1]))
    }
    assert _found(world, champion, turned["between"]).challenger["log_loss"] != found.challenger["log_loss"]
    assert _found(world, champion, turned["between"]).champion == found.champion
    # Turned outcomes of the same scores: the AUC is the rest.
    other = _found(world, champion, turned["judged"])
    assert other.challenger["auc"]["value"] == pytest.approx(1 - found.challenger["auc"]["value"])


def test_nobody_is_recognized_by_the_twin(world) -> None:
    """Labels that are a coin toss of the member, the same on every date, cannot be known of a member not seen.

    The amount of the loan names it: a twin that had learnt from the members whom it judges would know them.
    """
    rows = world.features.sort_values(["as_of_date", "loan_id"], ignore_index=True)
    number = rows["loan_id"].str.slice(1).astype(int)
    rows["principal_amount"] = 1_000.0 + number
    named = SimpleNamespace(features=rows, labels=world.labels, as_of=world.as_of)
    tossed = np.random.default_rng(0).random(700) < 0.4
    labels = world.labels.assign(is_default=tossed[world.labels["loan_id"].str.slice(1).astype(int)])
    found = _found(named, _old(world, 0.33), labels)
    assert found.challenger["auc"]["value"] == pytest.approx(0.5, abs=0.07)


def test_more_dates_are_judged_when_the_newest_has_few_events(world) -> None:
    champion = _old(world, 0.5)
    part = target_rows(
        world.features.merge(world.labels, on=["as_of_date", "loan_id"]),
        "default",
        as_of=world.as_of,
        settings=SMALL,
    )
    events = pd.Series(part.outcome).groupby(part.dates.to_numpy()).sum().sort_index()
    days = judged_dates(part, champion.trained_as_of, int(events.iloc[-1]) + 1)
    assert list(days) == list(events.index[-2:])
    assert list(judged_dates(part, champion.trained_as_of, int(events.iloc[-1]))) == list(events.index[-1:])
    assert len(judged_dates(part, champion.trained_as_of, 10**9)) == 3  # all that matured in the sixty days
    assert len(judged_dates(part, AS_OF, 1)) == 0


def test_few_events_give_no_figures(world) -> None:
    found = matured_evidence(
        _old(world, 0.5), world.features, world.labels, as_of=world.as_of, settings=SMALL, least_events=100_000
    )
    assert found.event_count > 0
    assert found.difference == {}
