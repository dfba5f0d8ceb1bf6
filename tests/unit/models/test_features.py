from __future__ import annotations

import dataclasses
import json

import numpy as np
import pandas as pd
import pytest

from models.features import (
    CUSTOMER_FEATURES,
    LOAN_FEATURES,
    PROTECTED,
    FeatureSpec,
    ReasonGroup,
    check_spec,
    encode,
    explain_groups,
    learn_categories,
)
from puntual.errors import ModelError

SPECS = [pytest.param(spec, id=spec.model) for spec in (LOAN_FEATURES, CUSTOMER_FEATURES)]


@pytest.mark.parametrize("spec", SPECS)
def test_every_feature_says_why_it_may_be_used(spec: FeatureSpec) -> None:
    check_spec(spec)
    assert all(feature.why and feature.leakage and feature.group for feature in spec.features)
    assert all(group.es and group.en for group in spec.groups)


@pytest.mark.parametrize("spec", SPECS)
def test_no_protected_attribute_is_a_column(spec: FeatureSpec) -> None:
    assert not PROTECTED & set(spec.names)


def test_default_risk_learns_no_column_that_tells_its_few_dates_apart() -> None:
    """Every loan of a date has the same day: on some twenty dates it is the date itself."""
    of_the_date = {"day_of_month", "day_of_year"}
    assert of_the_date <= set(LOAN_FEATURES.names)
    assert not of_the_date & set(LOAN_FEATURES.feature_names)


def test_a_protected_attribute_is_refused_in_a_spec() -> None:
    gender = dataclasses.replace(LOAN_FEATURES.columns[-1], name="gender")
    with pytest.raises(ModelError, match="protected"):
        check_spec(dataclasses.replace(LOAN_FEATURES, columns=(*LOAN_FEATURES.columns, gender)))


def test_a_sign_needs_a_reason() -> None:
    signed = dataclasses.replace(LOAN_FEATURES.features[3], name="new", monotone=1, monotone_reason="")
    with pytest.raises(ModelError, match="no reason"):
        check_spec(dataclasses.replace(LOAN_FEATURES, columns=(*LOAN_FEATURES.columns, signed)))


def test_columns_may_come_in_any_order_but_none_may_be_missing_or_new(loan_world) -> None:
    rows = loan_world(members=5).today
    shuffled = rows[sorted(rows.columns)]
    assert list(LOAN_FEATURES.check(shuffled).columns) == list(LOAN_FEATURES.names)
    with pytest.raises(ModelError, match=r"missing \['past_due_days'\].*never filled"):
        LOAN_FEATURES.check(rows.drop(columns="past_due_days"))
    with pytest.raises(ModelError, match="paid_next_month_amount"):
        LOAN_FEATURES.check(rows.assign(paid_next_month_amount=1.0))


def test_the_schema_hash_changes_with_a_sign_and_not_with_a_sentence() -> None:
    first = LOAN_FEATURES.columns[-2]
    same = dataclasses.replace(
        LOAN_FEATURES,
        columns=(*LOAN_FEATURES.columns[:-2], dataclasses.replace(first, why="x"), LOAN_FEATURES.columns[-1]),
    )
    other = dataclasses.replace(LOAN_FEATURES, columns=LOAN_FEATURES.columns[:-1])
    assert same.schema_hash() == LOAN_FEATURES.schema_hash() != other.schema_hash()


def test_texts_become_their_place_and_unknown_ones_nan(loan_world) -> None:
    rows = loan_world(members=4).today
    rows["province"] = ["Azuay", "Loja", None, "Nowhere"]
    known = learn_categories(LOAN_FEATURES, rows, min_rows=1) | {"province": ["Azuay", "Loja"]}
    place = LOAN_FEATURES.feature_names.index("province")
    np.testing.assert_array_equal(encode(LOAN_FEATURES, rows, known)[:, place], [0.0, 1.0, np.nan, np.nan])


def test_text_in_a_number_column_is_refused(loan_world) -> None:
    rows = loan_world(members=2).today
    rows["past_due_days"] = ["3", "many"]
    with pytest.raises(ModelError, match="past_due_days"):
        encode(LOAN_FEATURES, rows, learn_categories(LOAN_FEATURES, rows))


def test_decimals_and_missing_numbers_are_read(loan_world) -> None:
    from decimal import Decimal

    rows = loan_world(members=2).today
    rows["arrears_amount"] = pd.Series([Decimal("10.25"), None], dtype="object")
    place = LOAN_FEATURES.feature_names.index("arrears_amount")
    values = encode(LOAN_FEATURES, rows, learn_categories(LOAN_FEATURES, rows))[:, place]
    np.testing.assert_array_equal(values, np.float32([10.25, np.nan]))


TOY = dataclasses.replace(
    LOAN_FEATURES,
    columns=tuple(
        dataclasses.replace(LOAN_FEATURES.features[4], name=name, group=group, monotone=0)
        for name, group in (("a", "ONE"), ("b", "ONE"), ("c", "TWO"), ("d", "THREE"))
    ),
    groups=(
        ReasonGroup("ONE", "uno", "one"),
        ReasonGroup("TWO", "dos", "two", evidence=("c",)),
        ReasonGroup("THREE", "tres", "three"),
    ),
)


def test_reasons_are_sums_of_their_group_strongest_first_and_only_upward() -> None:
    # ONE = .2 + .2 = .4; TWO = .5 but its evidence c is 0 in the second row; THREE lowers the score in the first.
    parts = np.array([[0.2, 0.2, 0.5, -0.3], [0.2, 0.2, 0.5, 0.06], [0.01, 0.01, 0.0, 0.0]])
    rows = pd.DataFrame({"a": 1.0, "b": 1.0, "c": [2.0, 0.0, 1.0], "d": 1.0})
    assert explain_groups(TOY, parts, rows) == [["TWO", "ONE"], ["ONE", "THREE"], []]
    assert explain_groups(TOY, parts, rows, most=1) == [["TWO"], ["ONE"], []]


def test_a_reason_has_a_sentence_in_both_languages() -> None:
    assert LOAN_FEATURES.reason_text("OVERDUE_NOW", "es") == "Tiene cuotas vencidas hoy."
    assert LOAN_FEATURES.reason_text("OVERDUE_NOW", "en") == "Has overdue instalments today."
    with pytest.raises(ModelError, match="NOPE"):
        LOAN_FEATURES.reason_text("NOPE", "en")


@pytest.mark.parametrize("spec", SPECS)
def test_the_schema_can_be_written_as_json(spec: FeatureSpec) -> None:
    assert len(json.loads(json.dumps([dataclasses.asdict(column) for column in spec.columns]))) == len(spec.columns)
