"""An institution with a short history gets its day: default risk by the written prior until labels have matured."""

from __future__ import annotations

import shutil
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import pandas as pd
import pytest

from models.registry import ModelRegistry
from pipelines.day import Day
from pipelines.run import RunResult, run_day
from pipelines.steps.plan import RETRY_TREES_AFTER_DAYS, plan_day
from puntual.errors import PuntualError
from puntual.paths import Home
from puntual.snapshot import Snapshot

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def first_loan(demo_home) -> date:
    loans = pd.read_parquet(demo_home / "landing" / "loans.parquet", columns=["disbursed_on"])
    return pd.Timestamp(loans["disbursed_on"].min()).date()


@pytest.fixture(scope="module")
def young(first_loan) -> date:
    return first_loan + timedelta(weeks=5)


@pytest.fixture(scope="module")
def young_home(demo_home, young, tmp_path_factory) -> Path:
    """The demo cooperative after a day five weeks into its history. Shared: copy it before changing anything."""
    home = tmp_path_factory.mktemp("young") / "home"
    shutil.copytree(demo_home, home)
    run_day(Home(home), young)
    return home


def run_copy(home: Path, target: Path, as_of: date) -> tuple[Path, RunResult]:
    shutil.copytree(home, target, symlinks=True)
    return target, run_day(Home(target), as_of)


def test_five_weeks_after_the_first_loan_the_prior_scores_the_day(young_home, young):
    snapshot = Snapshot.current(young_home)
    assert snapshot.as_of_date == young
    assert snapshot.manifest["models"]["default_risk"]["status"] == "on"
    assert "prior" in snapshot.manifest["models"]["default_risk"]["reason"]
    scores = pd.read_parquet(snapshot.folder / "default_risk.parquet")
    assert len(scores) > 0
    assert scores["default_probability"].between(0, 1).all()


@pytest.mark.slow
def test_the_same_young_day_again_changes_nothing(young_home, young, tmp_path):
    before = ModelRegistry(Home(young_home).models).list()
    home, result = run_copy(young_home, tmp_path / "home", young)
    assert result.metadata["serving/snapshot"]["is_new"] == 0
    assert ModelRegistry(Home(home).models).list() == before


def test_the_prior_stays_while_there_is_nothing_to_learn_from(young_home, young):
    for days in (1, RETRY_TREES_AFTER_DAYS, 100):
        plan = plan_day(Day.of(young_home, young + timedelta(days=days), "test"))
        assert not plan.trains_risk
        assert not plan.dates["is_risk_training"].any()


@pytest.mark.parametrize(
    ("age", "is_due"), [(0, False), (RETRY_TREES_AFTER_DAYS - 1, False), (RETRY_TREES_AFTER_DAYS, True)]
)
def test_a_prior_is_tried_again_within_days_once_there_are_dates(young_home, young, tmp_path, age, is_due):
    prior = ModelRegistry(Home(young_home).models).champion("default_risk", young)
    as_of = young + timedelta(days=300)
    registry = ModelRegistry(tmp_path)
    version = registry.register("default_risk", replace(prior, trained_as_of=as_of - timedelta(days=age)))
    registry.promote("default_risk", version, reason="test", decided_on=as_of)
    plan = plan_day(replace(Day.of(young_home, as_of, "test"), registry=registry))
    assert plan.trains_risk == is_due
    assert plan.dates["is_risk_training"].any() == is_due


@pytest.mark.slow
def test_matured_labels_replace_the_prior(young_home, as_of, tmp_path):
    home, result = run_copy(young_home, tmp_path / "home", as_of)
    assert result.metadata["ml/default_risk_model"]["status"] == "trained and promoted"
    champion = ModelRegistry(Home(home).models).champion("default_risk", as_of)
    assert champion.kind != "prior"


def test_a_date_before_the_first_loan_says_so(demo_home, first_loan, tmp_path):
    with pytest.raises(PuntualError, match=f"no loan on or before .*; the first is of {first_loan}"):
        run_copy(demo_home, tmp_path / "home", first_loan - timedelta(days=1))
