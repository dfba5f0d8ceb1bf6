from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit
from sklearn.utils.estimator_checks import check_estimator

import models
from models import ContactEffect, DefaultRisk
from models.frames.contact_effect import _code
from models.lazy import FACADES
from puntual.errors import ModelError
from tests.unit.models.house_checks import CHECKS, Check

WEEK = pd.Timedelta(weeks=1)
CHANNELS = ("call", "sms")
GAIN = {"call": 1.6, "sms": 0.5}


def risk_rows(members: int = 300, dates: int = 8, seed: int = 0) -> tuple[pd.DataFrame, pd.Series]:
    """Members seen every four weeks; the event comes with low income, with arrears, and more in the hills."""
    random = np.random.default_rng(seed)
    income = random.gamma(3.0, 200.0, members)
    place = random.choice(["coast", "hills", "forest"], members)
    frames = []
    for number in range(dates):
        days = np.where(random.random(members) < 0.4, random.integers(1, 80, members), 0)
        frames.append(
            pd.DataFrame(
                {
                    "as_of_date": pd.Timestamp("2025-01-05") + 4 * number * WEEK,
                    "customer_id": [f"C{i:05d}" for i in range(members)],
                    "past_due_days": days,
                    "income": income.round(2),
                    "noise": random.normal(size=members),
                    "place": place,
                    "is_urban": random.random(members) < 0.5,
                }
            )
        )
    rows = pd.concat(frames, ignore_index=True)
    odds = -1.5 + 0.05 * rows["past_due_days"] - 0.003 * (rows["income"] - 600) + (rows["place"] == "hills")
    return rows, pd.Series(random.random(len(rows)) < expit(odds), name="is_default")


def contact_rows(members: int = 400, weeks: int = 10, seed: int = 0) -> pd.DataFrame:
    """Members drawn to a call, a text message or nothing with known probabilities; both help in the middle only."""
    random = np.random.default_rng(seed)
    frames = []
    for number in range(weeks):
        record = random.random(members)
        cuota = random.gamma(4.0, 30.0, members).round(2) + 20
        action = random.choice(["none", *CHANNELS], members, p=[0.5, 0.25, 0.25])
        reached = (action != "none") & (random.random(members) < 0.6)
        lift = np.array([GAIN.get(one, 0.0) for one in action]) * np.exp(-(((record - 0.45) / 0.25) ** 2))
        paid = random.random(members) < expit(-2.5 + 3.5 * record + np.where(reached, lift, 0.0))
        frames.append(
            pd.DataFrame(
                {
                    "week": pd.Timestamp("2026-01-04") + number * WEEK,
                    "member": [f"C{i:05d}" for i in range(members)],
                    "channel": action,
                    "was_reached": reached,
                    "drawn_with": np.where(action == "none", 0.5, 0.25),
                    "paid": np.where(paid, cuota, 0.0),
                    "record": record,
                    "cuota": cuota,
                    "place": random.choice(["coast", "hills"], members),
                    "is_urban": random.random(members) < 0.5,
                }
            )
        )
    return pd.concat(frames, ignore_index=True)


def risk() -> DefaultRisk:
    return DefaultRisk(date="as_of_date", member="customer_id", horizon_days=56, rounds=25)


def effect(**more: Any) -> ContactEffect:
    roles = {"treatment": "channel", "amount": "paid", "reached": "was_reached", "propensity": "drawn_with"}
    return ContactEffect(**roles, date="week", member="member", size="cuota", least_attempts=100, **more)


@pytest.fixture(scope="module")
def case() -> Callable[[str], tuple[Any, pd.DataFrame, Any]]:
    rows, outcome = risk_rows()
    made = {"DefaultRisk": (risk(), rows, outcome), "ContactEffect": (effect(), contact_rows(), None)}
    return made.__getitem__


def test_every_facade_is_checked(case: Any) -> None:
    assert set(models.__all__) == set(FACADES)
    for name in FACADES:
        case(name)


@pytest.mark.parametrize("name", sorted(FACADES))
@pytest.mark.parametrize("check", CHECKS, ids=lambda one: one.__name__)
def test_house_checks(check: Check, name: str, case: Any) -> None:
    check(*case(name))


def test_the_checks_of_scikit_learn() -> None:
    """All that apply to a classifier of two classes that takes missing values: none is excused."""
    failed = {
        found["check_name"]: str(found["exception"])
        for found in check_estimator(DefaultRisk(rounds=60), on_skip=None, on_fail=None)
        if found["status"] == "failed"
    }
    assert failed == {}


def test_other_imports_do_not_pay_for_the_facades() -> None:
    script = "import sys, models.datasets; assert not {'sklearn', 'lightgbm'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", script], check=True, cwd=Path(__file__).parents[3])
    with pytest.raises(ImportError):
        from models import Horoscope  # noqa: F401


# --- default risk ---------------------------------------------------------------------------------------------------


def test_five_lines_find_what_makes_the_event() -> None:
    train, train_outcome = risk_rows(members=1200)
    test, outcome = risk_rows(members=800, seed=9)
    model = DefaultRisk(date="as_of_date", member="customer_id", monotone={"past_due_days": 1, "income": -1})
    model.fit(train, train_outcome)
    found = model.evaluate(test, outcome)
    assert list(found.columns) == ["value", "low", "high"]
    odds = -1.5 + 0.05 * test["past_due_days"] - 0.003 * (test["income"] - 600) + (test["place"] == "hills")
    truth = expit(odds.to_numpy())
    assert np.abs(model.predict_proba(test)[:, 1] - truth).mean() < 0.05
    assert found.loc["auc", "value"] > 0.75
    size = model.explain(test).abs().mean().sort_values(ascending=False)
    assert set(size.index[:3]) == {"past_due_days", "income", "place"}
    assert "2025" in found.attrs["note"]


def test_signs_hold_and_a_wrong_one_is_refused() -> None:
    rows, outcome = risk_rows()
    signed = DefaultRisk(date="as_of_date", member="customer_id", rounds=40, monotone={"income": 1}).fit(rows, outcome)
    grid = pd.concat([rows.head(1)] * 50, ignore_index=True).assign(income=np.linspace(0, 3000, 50))
    assert (np.diff(signed.predict_proba(grid)[:, 1]) >= 0).all()
    free = risk().fit(rows, outcome).predict_proba(grid)[:, 1]
    assert (np.diff(free) < 0).any()
    for monotone, why in (({"place": 1}, "is a text"), ({"nothing": 1}, "not columns"), ({"income": 2}, "-1, 0 or 1")):
        with pytest.raises(ValueError, match=why):
            risk().set_params(monotone=monotone).fit(rows, outcome)


def test_the_names_of_columns_do_not_matter_even_those_of_the_house() -> None:
    """``on_time_rate_364d`` has a sign in the pipeline; in somebody else's frame it is a column like any other."""
    rows, outcome = risk_rows()
    renamed = rows.rename(columns={"past_due_days": "on_time_rate_364d", "noise": 'a "b", [c]: {ñ}'})
    plain, other = risk().fit(rows, outcome), risk().fit(renamed, outcome)
    assert np.array_equal(plain.predict_proba(rows), other.predict_proba(renamed))


def test_backtest_leaves_a_gap_as_long_as_the_horizon() -> None:
    rows, outcome = risk_rows(members=600)
    split = risk().split(rows)
    assert split.kind == "time_with_gap"
    assert (min(split.test_dates) - max(split.train_dates)).days >= 56
    found = risk().backtest(rows, outcome, draws=20)
    assert found.attrs["note"] == ""
    assert "gap of 56 days" in found.attrs["split"]
    assert found.loc["auc", "value"] > 0.7
    assert risk().set_params(horizon_days=900).split(rows).kind == "members_without_gap"


def test_outcomes_of_any_two_values() -> None:
    rows, outcome = risk_rows(members=150, dates=4)
    words = np.where(outcome, "late", "in time")
    words = pd.Series(words).map({"late": "z late", "in time": "a in time"})
    model = risk().fit(rows, words)
    assert list(model.classes_) == ["a in time", "z late"]
    assert np.array_equal(model.predict_proba(rows), risk().fit(rows, outcome).predict_proba(rows))
    assert set(model.predict(rows)) <= set(model.classes_)
    assert set(DefaultRisk.from_files(model.to_files()).predict(rows)) == set(model.predict(rows))
    with pytest.raises(ValueError, match="one class"):
        risk().fit(rows, np.zeros(len(rows)))
    with pytest.raises(ValueError, match="3 classes"):
        risk().fit(rows, np.arange(len(rows)) % 3)
    with pytest.raises(ValueError, match="have no outcome"):
        risk().fit(rows, outcome.astype("boolean").where(outcome.index > 3))


def test_files_of_another_kind_are_refused() -> None:
    rows, outcome = risk_rows(members=150, dates=4)
    files = risk().fit(rows, outcome).to_files()
    with pytest.raises(ModelError, match="format"):
        ContactEffect.from_files(files)
    with pytest.raises(ModelError, match="incomplete"):
        DefaultRisk.from_files({"model.json": files["model.json"]})


# --- contact effect -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def learnt() -> ContactEffect:
    return effect().fit(contact_rows(members=2500, weeks=12))


def test_gains_follow_the_truth(learnt: ContactEffect) -> None:
    test = contact_rows(members=2500, weeks=2, seed=5)
    gain = learnt.predict(test)
    assert list(gain.columns) == ["call", "sms"]
    alone = expit(-2.5 + 3.5 * test["record"])
    middle = np.exp(-(((test["record"] - 0.45) / 0.25) ** 2))
    truth = pd.DataFrame(
        {c: 0.6 * (expit(-2.5 + 3.5 * test["record"] + GAIN[c] * middle) - alone) * test["cuota"] for c in CHANNELS}
    )
    assert gain["call"].mean() == pytest.approx(truth["call"].mean(), rel=0.25)
    assert np.corrcoef(gain["call"], truth["call"])[0, 1] > 0.75
    assert gain["call"].mean() > 1.5 * gain["sms"].mean()
    assert learnt.supported(test).to_numpy().all()


def test_evaluation_tells_a_good_plan_from_the_habit(learnt: ContactEffect) -> None:
    found = learnt.evaluate(contact_rows(members=2500, weeks=4, seed=6), draws=100)
    assert list(found.index) == ["habit", "plan", "plan_against_habit", "r_gain"]
    assert found.loc["plan_against_habit", "low"] > 0
    assert found.loc["r_gain", "value"] > 0
    assert set(found.attrs["supported_share"]) == {"call", "sms"}
    assert found.attrs["effective_sample"] > 1000


def test_explanations_name_what_moves_the_effect(learnt: ContactEffect) -> None:
    found = learnt.explain(contact_rows(members=300, weeks=1, seed=7), "call")
    assert found.drop(columns="channel").abs().mean().idxmax() == "record"
    with pytest.raises(ValueError, match="no effect by features"):
        learnt.explain(contact_rows(members=10, weeks=1), "pigeon")


def test_the_money_may_be_given_as_y_and_reach_may_be_unknown() -> None:
    rows = contact_rows()
    bare = ContactEffect(treatment="channel", date="week", member="member", least_attempts=100)
    columns = ["channel", "week", "member", "record", "cuota", "place"]
    model = bare.fit(rows[columns], rows["paid"])
    assert np.isfinite(model.predict(rows[columns]).to_numpy()).all()
    assert np.isfinite(model.evaluate(rows[columns], rows["paid"], draws=20).to_numpy()).all()
    with pytest.raises(ValueError, match="either as y or by the parameter amount"):
        bare.fit(rows[columns])


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"channel": "none"}, "0 rows with a contact"),
        ({"channel": "call"}, "no row of 'channel' is 'none'"),
        ({"channel": None}, "have no 'channel'"),
        ({"paid": 0.0}, "nobody paid"),
        ({"paid": np.nan}, "have no amount"),
    ],
)
def test_a_log_that_says_nothing_is_refused(change: dict[str, Any], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        effect().fit(contact_rows(members=100, weeks=4).assign(**change))


@pytest.mark.parametrize("wrong", [0.0, -0.2, 1.5, 25.0, np.inf])
def test_a_propensity_is_a_probability(wrong: float, learnt: ContactEffect) -> None:
    rows = contact_rows(members=100, weeks=4)
    rows.loc[rows.index[3], "drawn_with"] = wrong
    for use in (effect().fit, learnt.evaluate):
        with pytest.raises(ValueError, match=r"1 rows have a propensity outside \(0, 1\] in 'drawn_with'"):
            use(rows)


def test_an_unknown_channel_cannot_be_judged(learnt: ContactEffect) -> None:
    with pytest.raises(ValueError, match="pigeon"):
        learnt.evaluate(contact_rows(members=10, weeks=1).assign(channel="pigeon"))


@pytest.mark.parametrize("value", [True, np.bool_(True), 1, np.int64(1), 1.0, np.float32(1.0), Decimal(1)])
def test_a_treatment_has_one_code_in_whatever_dtype_it_came(value: Any) -> None:
    assert _code(value) == "1"


def test_a_treatment_that_is_text_or_a_fraction_keeps_its_name() -> None:
    assert [_code(value) for value in ("True", "call", 1.5, np.bool_(False))] == ["True", "call", "1.5", "0"]
