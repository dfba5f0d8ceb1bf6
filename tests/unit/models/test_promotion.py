from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from models.default_risk.promotion import Evidence, decide, matured_evidence
from models.default_risk.score import CurveTarget, DefaultRiskModel
from models.default_risk.settings import DefaultRiskSettings
from models.estimators import BoosterSettings
from models.limits import PromotionRule

AS_OF = date(2026, 6, 30)
RULE = PromotionRule(proof="certain", least_events=20, max_age_days=120, max_ece=0.03)


def _champion(kind: str = "boosted", age: int = 30) -> Any:
    return SimpleNamespace(kind=kind, trained_as_of=AS_OF - timedelta(days=age))


def _evidence(low: float, value: float, high: float, ece_low: float = 0.001) -> Evidence:
    ece = {"value": ece_low + 0.01, "low": ece_low, "high": ece_low + 0.02}
    return Evidence(
        (AS_OF,), 1_000, 50, {"ece": ece}, {"ece": ece}, {"log_loss": {"value": value, "low": low, "high": high}}
    )


@pytest.mark.parametrize(
    ("code", "promote", "kind", "champion", "evidence", "rule"),
    [
        ("first", True, "prior", None, None, RULE),
        ("stands_on_less", False, "curve", _champion("boosted"), None, RULE),
        ("stands_on_more", True, "boosted", _champion("curve"), None, RULE),
        ("stands_on_more", True, "curve", _champion("curve"), None, RULE),
        ("same_date", True, "boosted", _champion(age=0), None, RULE),
        ("age", True, "boosted", _champion(age=121), _evidence(0.01, 0.02, 0.03), RULE),
        ("few_events", False, "boosted", _champion(age=120), None, RULE),
        ("few_events", False, "boosted", _champion(), Evidence((AS_OF,), 100, 3), RULE),
        ("calibration", True, "boosted", _champion(), _evidence(0.01, 0.02, 0.03, ece_low=0.031), RULE),
        ("better", True, "boosted", _champion(), _evidence(-0.03, -0.02, -0.01), RULE),
        ("not_better", False, "boosted", _champion(), _evidence(-0.03, -0.01, 0.001), RULE),
        ("better", True, "boosted", _champion(), _evidence(-0.03, -0.01, 0.001), PromotionRule(proof="likely")),
        ("not_better", False, "boosted", _champion(), _evidence(-0.01, 0.001, 0.03), PromotionRule(proof="likely")),
    ],
)
def test_every_branch_of_the_rule(
    code: str, promote: bool, kind: str, champion: Any, evidence: Evidence | None, rule: PromotionRule
) -> None:
    verdict = decide(kind, champion, evidence, rule, as_of=AS_OF)
    assert (verdict.code, verdict.promote) == (code, promote)
    assert verdict.reason_es and verdict.reason_en and verdict.reason_es != verdict.reason_en


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
    return DefaultRiskModel(AS_OF - timedelta(days=age), SMALL, {n: [] for n in _categories()}, {"default": level})


def _categories() -> tuple[str, ...]:
    from models.features import LOAN_FEATURES

    return LOAN_FEATURES.category_names


def test_they_are_compared_on_dates_that_neither_has_learnt_from(world) -> None:
    champion = _old(world, 0.5)
    found = matured_evidence(champion, world.features, world.labels, as_of=world.as_of, settings=SMALL, least_events=20)
    first_new = champion.trained_as_of - timedelta(days=182)
    days = pd.to_datetime(world.features["as_of_date"]).dt.date
    assert found.dates == tuple(sorted({day for day in days if day > first_new}))
    assert found.difference["log_loss"]["high"] < 0
    # Labels that the champion could have known change the twin, those of the judged dates do not.
    known = world.labels["as_of_date"].dt.date <= first_new
    flipped = world.labels.assign(is_default=np.where(known, ~world.labels["is_default"], world.labels["is_default"]))
    other = matured_evidence(champion, world.features, flipped, as_of=world.as_of, settings=SMALL, least_events=20)
    assert other.champion == found.champion
    assert other.challenger["auc"]["value"] < 0.5 < found.challenger["auc"]["value"]


def test_few_events_give_no_figures(world) -> None:
    found = matured_evidence(
        _old(world, 0.5), world.features, world.labels, as_of=world.as_of, settings=SMALL, least_events=100_000
    )
    assert found.event_count > 0
    assert found.difference == {}
