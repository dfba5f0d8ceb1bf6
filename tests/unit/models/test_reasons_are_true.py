"""Over a whole book, no sentence about a row says what is not so. What each sentence claims is written here again, by hand."""

from __future__ import annotations

import json
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from models.default_risk.reasons import CATCH_UP, percent, sentences, texts
from models.default_risk.settings import DefaultRiskSettings
from models.default_risk.train import train
from models.estimators import BoosterSettings
from models.features import CONTACT_CHANNELS, CUSTOMER_FEATURES, LOAN_FEATURES, FeatureSpec, explain_groups
from tests.unit.models.conftest import World, blank

Claims = dict[str, Callable[[pd.DataFrame], pd.Series]]

OF_THE_MODEL = {"default_risk": {"LOAN_TERMS", "PLACE_WORK"}, "contact_channel": {"PLACE_WORK", "CALENDAR"}}
"""Sentences about many loans or members, which no single row can contradict."""

RAISES: Claims = {
    "OVERDUE_NOW": lambda b: b["past_due_days"] > 0,
    "LATE_RECORD": lambda b: (b["late_installment_count_364d"] > 0) | (b["max_late_days_364d"] > 0),
    "PAYING_LESS": lambda b: (b["shortfall_28d_rate"] > 0) | (b["shortfall_91d_rate"] > 0),
    "WILLINGNESS": lambda b: b["willingness_level"] + b["willingness_trouble"] < 0,
    "BROKEN_PROMISES": lambda b: b["broken_promise_count_182d"] > 0,
    "OTHER_LOANS": lambda b: b["member_active_loan_count"] > 1,
    "BURDEN": lambda b: b["burden_rate"] >= 0.3,
    "LOAN_AGE": lambda b: b["paid_principal_rate"] < 0.33,
    "RESTRUCTURED": lambda b: b["is_restructured"],
    "HARD_TO_REACH": lambda b: (
        (b["attempt_91d_count"] > 0) & (b["right_party_91d_count"] / b["attempt_91d_count"].replace(0, np.nan) < 0.25)
    ),
    "CALENDAR": lambda b: b["next_due_in_days"].notna(),
}
LOWERS: Claims = {
    "OVERDUE_NOW": lambda b: b["past_due_days"] == 0,
    "LATE_RECORD": lambda b: (b["on_time_rate_364d"] == 1) & (b["max_late_days_364d"] == 0),
    "PAYING_LESS": lambda b: ~RAISES["PAYING_LESS"](b) & (b["payment_count_91d"] > 0),
    "WILLINGNESS": lambda b: b["willingness_level"] + b["willingness_trouble"] > 0,
    "BROKEN_PROMISES": lambda b: b["broken_promise_count_182d"] == 0,
    "OTHER_LOANS": lambda b: (b["member_active_loan_count"] > 1) & (b["member_max_past_due_days"] == 0),
    "BURDEN": lambda b: b["burden_rate"] < 0.2,
    "LOAN_AGE": lambda b: b["paid_principal_rate"] >= 0.33,
    "HARD_TO_REACH": lambda b: b["attempt_91d_count"] == 0,
    "CALENDAR": lambda b: b["next_due_in_days"].notna(),
}
OF_CUSTOMERS: Claims = {
    "REACH": lambda b: b[[f"{c}_contact_rate_364d" for c in CONTACT_CHANNELS]].max(axis=1) >= 0.5,
    "FATIGUE": lambda b: b["attempt_28d_count"] <= 2,
    "DEBT": lambda b: b["collectable_amount"] > 0,
    "PAYING": lambda b: b["payment_count_91d"] > 0,
    "PROMISES": lambda b: b["promise_count_182d"] > 0,
    "MEANS": lambda b: b["burden_rate"] < 0.3,
}


def lived_in(frame: pd.DataFrame, seed: int) -> pd.DataFrame:
    """The rows with counts that are counts, shortfalls on both sides of 0, and the gaps of a real book."""
    random = np.random.default_rng(seed)
    rows, book = len(frame), frame.copy()

    def some_missing(values: np.ndarray) -> np.ndarray:
        return np.where(random.random(rows) < 0.1, np.nan, values)

    attempts = random.poisson(2.0, rows)
    book["attempt_91d_count"], book["attempt_28d_count"] = attempts, random.binomial(attempts, 0.6)
    book["right_party_91d_count"] = random.binomial(attempts, random.random(rows))
    book["member_active_loan_count"] = 1 + random.poisson(0.3, rows)
    other = np.where(random.random(rows) < 0.3, random.integers(1, 90, rows), 0)
    own = book["past_due_days"].to_numpy()
    book["member_max_past_due_days"] = np.where(book["member_active_loan_count"] > 1, np.maximum(own, other), own)
    for window in (28, 91):
        book[f"shortfall_{window}d_rate"] = some_missing(random.normal(0, 1, rows).round(2))
    book["payment_count_91d"] = random.poisson(1.5, rows)
    book["burden_rate"] = some_missing(random.gamma(4.0, 0.07, rows).round(3))
    book["next_due_in_days"] = some_missing(random.integers(0, 31, rows).astype(float))
    book["promise_count_182d"] = random.poisson(0.7, rows)
    for name in ("level", "trouble"):
        book[f"willingness_{name}"] = some_missing(random.normal(0, 1, rows))
    if "paid_principal_rate" in book:
        book["paid_principal_rate"] = some_missing(random.random(rows).round(3))
        spotless = random.random(rows) < 0.4
        book.loc[spotless, ["late_installment_count_364d", "max_late_days_364d"]] = 0.0
        book["on_time_rate_364d"] = np.where(spotless, 1.0, 0.9 * random.random(rows))
        book["broken_promise_count_182d"] = random.binomial(book["promise_count_182d"], 0.4)
    for channel in CONTACT_CHANNELS:
        if f"{channel}_contact_rate_364d" in book:
            book[f"{channel}_contact_rate_364d"] = some_missing((0.7 * random.random(rows)).round(2))
    return book


@pytest.mark.parametrize(
    ("spec", "claims"),
    [pytest.param(LOAN_FEATURES, RAISES, id="risk"), pytest.param(CUSTOMER_FEATURES, OF_CUSTOMERS, id="channel")],
)
def test_whatever_the_trees_say_no_reason_is_false_of_its_row(spec: FeatureSpec, claims: Claims) -> None:
    book = lived_in(blank(spec, 3000, np.random.default_rng(0)), seed=1)
    if spec is LOAN_FEATURES:
        book.loc[book.index % 2 == 0, "past_due_days"] = 0.0
    assert {group.code for group in spec.groups if not group.evidence} == OF_THE_MODEL[spec.model]
    assert set(claims) == {group.code for group in spec.groups} - OF_THE_MODEL[spec.model]
    parts = np.random.default_rng(2).normal(0.1, 0.3, (len(book), len(spec.features)))
    told = pd.Series(explain_groups(spec, parts, book, most=len(spec.groups)), index=book.index)
    for code, is_so in claims.items():
        said, true = told.map(lambda codes, code=code: code in codes), is_so(book).astype(bool)
        assert said.any(), code
        assert not (said & ~true).any(), code


@pytest.fixture(scope="module")
def told(loan_world: Callable) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Reasons of a whole book from a model that learnt on such books, and the book's rows beside them."""
    world: World = loan_world(members=700)
    past, today = lived_in(world.features, seed=3), lived_in(world.today, seed=4)
    settings = DefaultRiskSettings(bootstrap_draws=2, backtest_cuts=0, n_jobs=1, booster=BoosterSettings(rounds=60))
    _, why = train(past, world.labels, as_of=world.as_of, settings=settings).predict_with_reasons(today)
    rows = today.set_index("loan_id").loc[why["loan_id"]].reset_index()
    return why.reset_index(drop=True), rows


def test_a_trained_model_says_nothing_false_of_a_book(told: tuple[pd.DataFrame, pd.DataFrame]) -> None:
    why, rows = told
    count = 0
    for column, claims in (("raising_codes", RAISES), ("lowering_codes", LOWERS)):
        codes = why[column].map(json.loads)
        for code, is_so in claims.items():
            said = codes.map(lambda one, code=code: code in one)
            count += int(said.sum())
            assert not (said & ~is_so(rows).astype(bool)).any(), (column, code)
    assert count > 500
    elsewhere = why["change_code"] == "OTHER_LOANS"
    assert (rows.loc[elsewhere, "member_max_past_due_days"] > rows.loc[elsewhere, "past_due_days"]).all()


def test_catching_up_is_named_where_it_helps_and_only_there(told: tuple[pd.DataFrame, pd.DataFrame]) -> None:
    why, _ = told
    catching = why["change_code"] == CATCH_UP
    assert catching.any()
    for language in ("es", "en"):
        before, after = (
            why.loc[catching, name].map(lambda p, language=language: percent(p, language))
            for name in ("default_probability", "changed_probability")
        )
        assert (before != after).all()
        for row in why[~catching].to_dict("records"):
            said = " ".join(sentences(row, language, "USD"))
            assert "Ponerse al día con" not in said and "Catching up with" not in said
    assert "OVERDUE_NOW" not in texts()["changes"]


def test_every_lowering_sentence_has_its_claim_and_willingness_speaks_both_ways() -> None:
    said = texts()
    assert set(LOWERS) == {code for code, one in said["lowers"].items() if one["where"]}
    assert set(said["lowers"]) - set(LOWERS) == OF_THE_MODEL["default_risk"]
    assert "WILLINGNESS" in said["lowers"] and "WILLINGNESS" in said["changes"]
