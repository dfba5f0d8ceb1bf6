"""Odd frames: what a column, an outcome or a log may hold that looks right and is not, and what is said of it."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pytest

from models import ContactEffect, DefaultRisk
from models.contact_channel import evaluate
from models.contact_channel.policy_tree import LEAF, PolicyTree
from models.frames.columns import flags_of, written_numbers
from tests.unit.models.test_frames import contact_rows, effect, risk, risk_rows


@pytest.fixture
def learnt_as(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], ContactEffect]:
    """A model whose later dates chose a given learner."""

    def fitted(learner: str) -> ContactEffect:
        monkeypatch.setattr(evaluate, "choose_learner", lambda losses, members, **_: (learner, "told to"))
        return effect().fit(contact_rows())

    return fitted


# --- texts ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "0,53",
        "0.53",
        "-3,5",
        ",5",
        "1.234,56",
        "1,234.56",
        "1.234",
        "12 345",
        "$ 5",
        "US$ 1.200",
        "S/ 3",
        "7%",
        "1e-05",
    ],
)
def test_only_a_number_is_written_like_this(text: str) -> None:
    assert written_numbers([text]) == [text]
    assert written_numbers([text, "A", "B"]) == []


@pytest.mark.parametrize(
    "text", ["17", "001", "0", "01.11", "1.1.02", "1-5", "E11", "e5", "0991234567", "1,5 o 2", ",", "%", "$", "v1.2"]
)
def test_a_code_is_no_number(text: str) -> None:
    assert written_numbers([text]) == []


# --- default risk ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("values", [(False, True), (0, 1), (0.0, 1.0)])
def test_an_outcome_of_objects_is_what_it_holds(values: tuple[Any, Any]) -> None:
    rows, outcome = risk_rows(members=150, dates=4)
    plain = risk().fit(rows, outcome).predict_proba(rows)
    objects = pd.Series([values[int(one)] for one in outcome], dtype=object)
    for given in (objects, objects.to_numpy()):
        model = risk().fit(rows, given)
        assert model.classes_.tolist() == list(values)
        assert np.array_equal(model.predict_proba(rows), plain)
        model.evaluate(rows, given, draws=5)
    objects[3] = None
    for given in (objects, objects.to_numpy()):
        with pytest.raises(ValueError, match="1 rows have no outcome"):
            risk().fit(rows, given)


def test_outcomes_that_were_not_learnt_cannot_be_judged() -> None:
    rows, outcome = risk_rows(members=150, dates=4)
    model = risk().fit(rows, outcome)
    with pytest.raises(ValueError, match=r"the outcome has \['no', 'si'\].*\[False, True\]"):
        model.evaluate(rows, np.where(outcome, "si", "no"))
    model.evaluate(rows, outcome.astype(int), draws=5)


def test_a_split_needs_a_horizon() -> None:
    rows, outcome = risk_rows(members=150, dates=4)
    for use in (lambda one: one.split(rows), lambda one: one.backtest(rows, outcome)):
        with pytest.raises(ValueError, match="horizon_days is -5"):
            use(DefaultRisk(date="as_of_date", member="customer_id", horizon_days=-5))


# --- contact effect -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("yes", "no", "said"),
    [("si", "no", "'no', 'si'|'si', 'no'"), (1, 2, "1, 2|2, 1"), (0.3, 0, "0.3"), ("1", "0", "'")],
)
def test_a_reach_that_nobody_can_read_is_refused(yes: Any, no: Any, said: str) -> None:
    rows = contact_rows()
    rows["was_reached"] = np.where(rows["was_reached"], yes, no)
    with pytest.raises(ValueError, match=f"'was_reached' must say yes or no.*({said}).*True and False"):
        effect().fit(rows)


@pytest.mark.parametrize(
    "given",
    [
        [True, False, None],
        [1, 0, None],
        [1.0, 0.0, np.nan],
        [Decimal(1), Decimal(0), None],
        pd.array([True, False, None], dtype="boolean"),
        pd.array([1, 0, None], dtype="Int64"),
        pd.Categorical([1, 0, None]),
        np.array([1, 0, 0], dtype="int8"),
    ],
)
def test_yes_and_no_in_every_dtype(given: Any) -> None:
    assert flags_of("M", "r", pd.Series(given)).tolist() == [True, False, False]


def test_a_log_in_which_nobody_was_reached_is_refused() -> None:
    for nobody in (False, 0, None):
        with pytest.raises(ValueError, match=r"by 'was_reached' none of .* contacts reached anybody.*reached=None"):
            effect().fit(contact_rows().assign(was_reached=nobody))


@pytest.mark.parametrize("column", ["paid", "drawn_with"])
def test_money_and_chances_in_texts_are_refused_by_name(column: str) -> None:
    rows = contact_rows()
    for written in (rows[column].map("{:.2f}".format), rows[column].map(lambda one: f"{one:.2f}".replace(".", ","))):
        with pytest.raises(ValueError, match=f"the column '{column}' holds '.*no number.*astype"):
            effect().fit(rows.assign(**{column: written}))


def test_money_given_as_y_is_refused_in_texts_and_counted_in_decimals() -> None:
    rows = contact_rows().drop(columns="was_reached")
    paid, rows = rows["paid"], rows.drop(columns="paid")
    model = ContactEffect(
        treatment="channel", date="week", member="member", least_attempts=100, propensity="drawn_with"
    )
    with pytest.raises(ValueError, match=r"y holds '\d+\.\d+', which is no number"):
        model.fit(rows, paid.map("{:.2f}".format))
    with pytest.raises(ValueError, match="1 rows have no amount"):
        model.fit(rows, paid.astype("Float64").mask(paid.index == 3))


def test_a_channel_spelt_in_two_ways_is_refused() -> None:
    rows = contact_rows()
    for name, again in (("call", "CALL"), ("none", "None"), ("sms", " sms")):
        other = rows["channel"].where((rows["channel"] != name) | (rows.index % 2 == 0), again)
        with pytest.raises(ValueError, match=rf"\['{again}', '{name}'\].*capitals or blanks"):
            effect().fit(rows.assign(channel=other))


def test_a_policy_tree_says_what_moves_it(learnt_as: Callable[[str], ContactEffect]) -> None:
    model, rows = learnt_as("policy_tree"), contact_rows(members=300, weeks=1, seed=7)
    tree = model.fit_.tree
    assert tree is not None
    split = {model.spec_.names[column] for column in tree.column if column != LEAF}
    assert split
    for place, channel in enumerate(model.channels_):
        found = model.explain(rows, channel)
        matrix = model._read(rows)[1]
        assert np.allclose(found.sum(axis=1), tree.gains(matrix)[:, place])
        moved = found.drop(columns="channel").abs().max()
        assert set(moved.index[moved > 0]) <= split
        assert (found["channel"] == tree.worth[0][place]).all()
    assert moved.max() > 0


def test_the_way_to_a_segment_adds_up() -> None:
    tree = PolicyTree(
        column=(1, LEAF, 0, LEAF, LEAF),
        threshold=(0.5, 0.0, 10.0, 0.0, 0.0),
        left=(1, 1, 3, 3, 4),
        right=(2, 1, 4, 3, 4),
        worth=((2.0, 1.0), (1.0, 1.0), (4.0, 1.5), (3.0, 0.0), (6.0, 2.0)),
        rows=(100, 60, 40, 25, 15),
    )
    matrix = np.array([[99.0, 0.0], [5.0, 1.0], [20.0, 1.0]])
    assert tree.contributions(matrix, 0).tolist() == [[0.0, -1.0, 2.0], [-1.0, 2.0, 2.0], [2.0, 2.0, 2.0]]
    assert tree.contributions(matrix, 1).sum(axis=1).tolist() == tree.gains(matrix)[:, 1].tolist()


def test_what_the_judge_said_is_the_same_from_files() -> None:
    rows = contact_rows()
    # the held-out weeks have no text message: what they say of that channel is not known
    rows.loc[(rows["channel"] == "sms") & (rows["week"] >= rows["week"].max() - pd.Timedelta(weeks=3)), "channel"] = (
        "none"
    )
    model = effect().fit(rows)
    back = ContactEffect.from_files(model.to_files()).backtest_
    assert np.isnan(model.backtest_["scale_measured"]["sms"]["value"])
    assert {type(day) for name in ("train_weeks", "test_weeks", "valuing_weeks") for day in back[name]} == {
        datetime.date
    }
    np.testing.assert_equal(back, model.backtest_)
    short = effect().fit(contact_rows(weeks=2))
    assert short.backtest_["split"] is None
    assert ContactEffect.from_files(short.to_files()).backtest_ == short.backtest_
