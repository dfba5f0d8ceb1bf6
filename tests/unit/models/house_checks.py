"""Checks that every estimator for notebooks passes, in the manner of scikit-learn's ``check_estimator`` but on frames.

A check takes an estimator (unfitted), a frame and the outcome for ``fit`` (None where the frame holds it), and raises
when the house's conventions are broken. ``CHECKS`` names them all.
"""

from __future__ import annotations

import copy
import json
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from models.frames.base import ExtraColumnsWarning
from models.frames.columns import IdentifierWarning
from puntual.errors import ModelError

Check = Callable[[Any, pd.DataFrame, Any], None]


def told(estimator: Any, frame: pd.DataFrame) -> np.ndarray:
    """What an estimator says of rows, one row of numbers each."""
    found = estimator.predict_proba(frame) if hasattr(estimator, "predict_proba") else estimator.predict(frame)
    return np.asarray(found, dtype=float)


def check_clone_and_parameters(estimator: Any, X: pd.DataFrame, y: Any) -> None:
    before = copy.deepcopy(estimator.get_params())
    twin = clone(estimator)
    assert twin.get_params() == before
    twin.fit(X, y)
    assert twin.get_params() == before
    assert not [name for name in vars(clone(twin)) if name.endswith("_")]
    twin.set_params(**before)
    with pytest.raises(ValueError, match="Invalid parameter"):
        twin.set_params(no_such_parameter=1)


def check_not_fitted(estimator: Any, X: pd.DataFrame, y: Any) -> None:
    for use in (told, lambda e, x: e.predict(x), lambda e, x: e.explain(x), lambda e, x: e.to_files(),
                lambda e, x: e.evaluate(x, y)):  # fmt: skip
        with pytest.raises(NotFittedError):
            use(clone(estimator), X)


def check_second_fit_is_equal_and_forgets(estimator: Any, X: pd.DataFrame, y: Any) -> None:
    once = clone(estimator).fit(X, y)
    files = once.to_files()
    half = np.arange(len(X)) % 2 == 0
    assert once.fit(X[half], None if y is None else np.asarray(y)[half]) is once
    assert once.to_files() != files
    assert once.fit(X, y).to_files() == files


def check_fitted_attributes(estimator: Any, X: pd.DataFrame, y: Any) -> None:
    fitted = clone(estimator).fit(X, y)
    roles = {name for name in fitted._role_columns().values() if name}
    assert list(fitted.feature_names_in_) == [name for name in X.columns if name not in roles]
    assert fitted.n_features_in_ == len(fitted.feature_names_in_)


def check_column_order_does_not_matter(estimator: Any, X: pd.DataFrame, y: Any) -> None:
    fitted = clone(estimator).fit(X, y)
    assert np.array_equal(told(fitted, X), told(fitted, X[X.columns[::-1]]))


def check_missing_and_extra_columns(estimator: Any, X: pd.DataFrame, y: Any) -> None:
    fitted = clone(estimator).fit(X, y)
    for name in (fitted.feature_names_in_[0], fitted.feature_names_in_[-1]):
        with pytest.raises(ValueError, match=name):
            told(fitted, X.drop(columns=[name]))
    with pytest.warns(ExtraColumnsWarning, match="unheard_of"):
        more = told(fitted, X.assign(unheard_of=1.0))
    assert np.array_equal(more, told(fitted, X))


def check_rows_keep_order_and_index(estimator: Any, X: pd.DataFrame, y: Any) -> None:
    fitted = clone(estimator).fit(X, y)
    whole = told(fitted, X)
    order = np.random.default_rng(0).permutation(len(X))[:200]
    some = X.iloc[order].set_axis([f"row {place}" for place in order])
    assert np.allclose(told(fitted, some), whole[order], rtol=0, atol=1e-12)
    assert list(fitted.explain(some).index) == list(some.index)
    predicted = fitted.predict(some)
    if isinstance(predicted, pd.DataFrame):
        assert list(predicted.index) == list(some.index)


def check_single_and_no_rows(estimator: Any, X: pd.DataFrame, y: Any) -> None:
    fitted = clone(estimator).fit(X, y)
    whole = told(fitted, X)
    for place in (0, len(X) - 1):
        assert np.allclose(told(fitted, X.iloc[[place]]), whole[[place]], rtol=0, atol=1e-12)
    assert told(fitted, X.iloc[:0]).shape == (0, whole.shape[1])
    assert len(fitted.explain(X.iloc[[0]])) == 1


def check_input_is_left_as_it_was(estimator: Any, X: pd.DataFrame, y: Any) -> None:
    frame, outcome = X.copy(deep=True), copy.deepcopy(y)
    fitted = clone(estimator).fit(frame, outcome)
    told(fitted, frame)
    fitted.explain(frame.head())
    fitted.evaluate(frame, outcome, draws=10)
    pd.testing.assert_frame_equal(frame, X)
    if y is not None:
        assert np.array_equal(np.asarray(outcome), np.asarray(y))


def check_missing_values(estimator: Any, X: pd.DataFrame, y: Any) -> None:
    fitted = clone(estimator).fit(X, y)
    numbers = [column.name for column in fitted.spec_.columns if column.type == "number"]
    holes = X.copy()
    holes.loc[holes.index[::3], numbers[0]] = np.nan
    again = clone(estimator).fit(holes, y)
    assert np.isfinite(told(again, holes)).all()
    empty = X.head(5).copy()
    for column in fitted.spec_.columns:
        empty[column.name] = None if column.type == "category" else np.nan
    assert np.isfinite(told(fitted, empty)).all()
    endless = X.copy()
    endless[numbers[0]] = endless[numbers[0]].astype(float)
    endless.loc[endless.index[0], numbers[0]] = np.inf
    with pytest.raises(ValueError, match="infinity"):
        told(fitted, endless)


def check_unseen_categories(estimator: Any, X: pd.DataFrame, y: Any) -> None:
    fitted = clone(estimator).fit(X, y)
    texts = [column.name for column in fitted.spec_.columns if column.type == "category"]
    unseen = X.head(20).copy()
    nothing = unseen.copy()
    for name in texts:
        unseen[name], nothing[name] = "never seen before", None
    assert np.array_equal(told(fitted, unseen), told(fitted, nothing))


def check_files(estimator: Any, X: pd.DataFrame, y: Any) -> None:
    fitted = clone(estimator).fit(X, y)
    files = fitted.to_files()
    assert clone(estimator).fit(X, y).to_files() == files
    assert all(name.endswith((".txt", ".json")) for name in files)
    for name, content in files.items():
        text = content.decode("utf-8")
        if name.endswith(".json"):
            json.loads(text)
    back = type(fitted).from_files(files)
    assert back.get_params() == fitted.get_params()
    assert np.array_equal(told(back, X), told(fitted, X))
    pd.testing.assert_frame_equal(back.explain(X.head()), fitted.explain(X.head()))
    assert back.to_files() == files


def check_columns_that_are_refused(estimator: Any, X: pd.DataFrame, y: Any) -> None:
    for added, why in (
        ({"opened_on": pd.Timestamp("2026-01-01")}, "holds dates"),
        ({"opened_on": pd.Timestamp("2026-01-01").date()}, "holds dates"),
        ({"national_id": [f"{place:08d}" for place in range(len(X))]}, "names rows"),
        ({"gender": "f"}, "protected"),
        ({"opened_on": "2026-01-31"}, "holds dates"),
        ({"opened_on": "31/01/2026"}, "holds dates"),
        ({"opened_on": pd.Categorical(["2026-01-31"] * len(X))}, "holds dates"),
        ({"opened_in": pd.Period("2026-01", freq="M")}, "holds dates"),
        ({"phones": [["099", "098"]] * len(X)}, "holds lists"),
        ({"extras": [{"a": 1}] * len(X)}, "holds lists"),
    ):
        with pytest.raises(ValueError, match=why):
            clone(estimator).fit(X.assign(**added), y)
    twice = pd.concat([X, X[[X.columns[-1]]]], axis=1)
    with pytest.raises(ValueError, match="twice"):
        clone(estimator).fit(twice, y)


def check_types_of_columns(estimator: Any, X: pd.DataFrame, y: Any) -> None:
    """Numbers, booleans and texts mean the same in whatever dtype pandas or a database hands them over."""
    fitted = clone(estimator).fit(X, y)
    other = X.copy()
    for column in fitted.spec_.columns:
        if column.type == "number":
            other[column.name] = other[column.name].astype("Float64")
        elif column.type == "boolean":
            other[column.name] = other[column.name].astype("object")
        else:
            other[column.name] = other[column.name].astype("category")
    again = clone(estimator).fit(other, y)
    assert [c.type for c in again.spec_.columns] == [c.type for c in fitted.spec_.columns]
    assert again.to_files() == fitted.to_files()
    assert np.array_equal(told(fitted, other), told(fitted, X))


def check_protected_attributes(estimator: Any, X: pd.DataFrame, y: Any) -> None:
    """Refused in either language and however written, unless they are allowed by name, which every note then says."""
    for name in (
        "edad",
        "Sexo",
        "género",
        "fecha_nacimiento",
        "estado_civil",
        "sexo_socio",
        "gender_code",
        "birthdate",
    ):
        with pytest.raises(ValueError, match=rf"'{name}' is a protected attribute.*allow_protected=\['{name}'\]"):
            clone(estimator).fit(X.assign(**{name: 1.0}), y)
    with_age = X.assign(edad=np.arange(len(X)) % 60 + 18.0, loan_age_days=np.arange(len(X)) % 700 * 1.0)
    allowed = clone(estimator).set_params(allow_protected=["edad"]).fit(with_age, y)
    assert allowed.protected_ == ["edad"]
    assert "protected attributes, allowed by name: edad" in allowed.evaluate(with_age, y, draws=5).attrs["note"]
    assert type(allowed).from_files(allowed.to_files()).protected_ == ["edad"]
    assert clone(estimator).fit(X.assign(loan_age_days=np.arange(len(X)) % 700), y).protected_ == []
    with pytest.raises(ValueError, match="allow_protected names"):
        clone(estimator).set_params(allow_protected=["edad"]).fit(X, y)
    with pytest.raises(ValueError, match="give a list"):
        clone(estimator).set_params(allow_protected="edad").fit(with_age, y)


def check_members_that_are_missing(estimator: Any, X: pd.DataFrame, y: Any) -> None:
    for rows in (slice(None), slice(0, 3)):
        holes = X.copy()
        holes.loc[holes.index[rows], estimator.member] = None
        with pytest.raises(ValueError, match=f"have no member in '{estimator.member}'.*member=None"):
            clone(estimator).fit(holes, y)


def check_dates_that_are_unclear(estimator: Any, X: pd.DataFrame, y: Any) -> None:
    """The date column is a day, as date, timestamp or ISO text; whatever else is refused with a way out."""
    name = estimator.date
    days = pd.to_datetime(X[name])
    fitted = clone(estimator).fit(X, y)
    for same in (days.dt.strftime("%Y-%m-%d"), days.dt.date, days.astype("datetime64[ns]")):
        assert clone(estimator).fit(X.assign(**{name: same}), y).to_files() == fitted.to_files()
    for other, why in (
        (days.dt.tz_localize("America/Guayaquil"), "time zone America/Guayaquil.*tz_localize"),
        (days.dt.strftime("%Y-%m-%dT00:00:00+00:00"), "cannot be read as dates|time zone"),
        (days.dt.to_period("M"), "periods.*to_timestamp"),
        (days.dt.strftime("%d/%m/%Y"), "more than one way.*year-month-day"),
        (days.dt.strftime("%Y%m%d").astype(int), "holds numbers"),
        (pd.Series("soon", index=X.index), "no dates"),
    ):
        with pytest.raises(ValueError, match=f"date column '{name}'.*({why})"):
            clone(estimator).fit(X.assign(**{name: other}), y)


def check_keys_among_the_numbers(estimator: Any, X: pd.DataFrame, y: Any) -> None:
    """Whole numbers that name rows or members are warned of; measures are not."""
    for added in ({"row_number": np.arange(len(X))}, {"branch_id": np.arange(len(X)) // 4}):
        with pytest.warns(IdentifierWarning, match=f"'{next(iter(added))}'.*parameter member.*astype"):
            clone(estimator).fit(X.assign(**added), y)
    with warnings.catch_warnings():
        warnings.simplefilter("error", IdentifierWarning)
        clone(estimator).fit(X.assign(visits=np.arange(len(X)) % 90, balance=np.arange(len(X)) * 1.0), y)


def check_rows_that_were_learnt_are_noted(estimator: Any, X: pd.DataFrame, y: Any) -> None:
    fitted = clone(estimator).fit(X, y)
    for one in (fitted, type(fitted).from_files(fitted.to_files())):
        assert "too good" in one.evaluate(X, y, draws=5).attrs["note"]
        later = X.assign(**{estimator.date: pd.to_datetime(X[estimator.date]) + pd.Timedelta(days=3650)})
        assert one.evaluate(later, y, draws=5).attrs["note"] == ""


def check_treatments_that_are_numbers(estimator: Any, X: pd.DataFrame, y: Any) -> None:
    """An arm written as 0, 1, 2 is learnt, told, judged and explained like one in words, in every dtype of numbers."""
    if not hasattr(estimator, "treatment"):
        pytest.skip("this estimator knows no treatment")
    name = estimator.treatment
    fitted = clone(estimator).fit(X, y)
    arm = X[name].map({estimator.none: 0} | {code: place + 1 for place, code in enumerate(fitted.channels_)})
    wanted = [str(place + 1) for place in range(len(fitted.channels_))]
    judged = fitted.evaluate(X, y, draws=5)
    for numbers in (arm.astype("int64"), arm.astype("float64"), arm.astype("Int64"), arm.astype("category")):
        rows = X.assign(**{name: numbers})
        again = clone(estimator).set_params(none=0).fit(rows, y)
        assert again.channels_ == wanted
        assert np.array_equal(told(again, rows), told(fitted, X))
        pd.testing.assert_frame_equal(again.evaluate(rows, y, draws=5), judged)
        assert np.array_equal(again.explain(rows.head(), channel=1), fitted.explain(X.head(), fitted.channels_[0]))
        assert np.array_equal(told(type(again).from_files(again.to_files()), rows), told(fitted, X))
    two = X[arm <= 1]
    half = None if y is None else np.asarray(y)[(arm <= 1).to_numpy()]
    in_words = clone(estimator).fit(two, half)
    is_called = two.assign(**{name: arm[arm <= 1].astype(bool)})
    for none in (0, False):
        again = clone(estimator).set_params(none=none).fit(is_called, half)
        assert again.channels_ == ["1"]
        assert np.array_equal(told(again, is_called), told(in_words, two))
        again.evaluate(is_called, half, draws=5)
    with pytest.raises(ValueError, match=r"no row of .* is 'none'.*parameter none"):
        clone(estimator).fit(is_called, half)


def check_numbers_written_as_texts(estimator: Any, X: pd.DataFrame, y: Any) -> None:
    """Decimals, thousands, percentages and money in texts are refused with a way out; codes of digits are learnt."""
    cents = pd.Series(np.arange(len(X)) % 40, index=X.index)
    for written in (
        cents.map(lambda one: f"{one / 40:.2f}".replace(".", ",")),
        cents.map(lambda one: f"{one / 40:.2f}"),
        cents.map(lambda one: f"1.{one:03d}"),
        cents.map(lambda one: f"$ 1.{one:03d},50").astype("category"),
        cents.map(lambda one: f"{one} %").astype("string"),
        cents.map(lambda one: "12,5" if one == 3 else str(one)),
    ):
        with pytest.raises(ValueError, match=r"'rate' holds numbers written as texts.*astype"):
            clone(estimator).fit(X.assign(rate=written), y)
    codes = {
        "branch": cents.map(lambda one: f"{one:03d}"),
        "area": cents.map(str),
        "activity": cents.map(lambda one: f"01.{one:02d}.1"),
        "stage": cents.map(lambda one: f"{one}-{one + 5}"),
        "grade": cents.map(lambda one: f"E{one}"),
    }
    fitted = clone(estimator).fit(X.assign(**codes), y)
    assert {one.name for one in fitted.spec_.columns if one.type == "category"} >= set(codes)


def check_keys_of_persons(estimator: Any, X: pd.DataFrame, y: Any) -> None:
    """What is a person's key by its name is refused as text and as number; other keys in text are warned of."""
    person = pd.Series(np.arange(len(X)) % 60, index=X.index)
    texts = "K" + person.astype(str)
    for name in ("cedula", "ruc_empleador", "client_id", "codigo_del_socio"):
        for values in (texts, person, person.where(person > 0)):
            with pytest.raises(ValueError, match=f"'{name}' is a person's key.*parameter member"):
                clone(estimator).fit(X.assign(**{name: values}), y)
    with pytest.raises(ValueError, match="'numero_socio' is a person's key"):
        clone(estimator).fit(X.assign(numero_socio=texts), y)
    with pytest.warns(IdentifierWarning, match="text column 'codigo_parroquia'.*looks like a key"):
        clone(estimator).fit(X.assign(codigo_parroquia=texts), y)
    with warnings.catch_warnings():
        warnings.simplefilter("error", IdentifierWarning)
        few = {"tipo_identificacion": texts.where(person < 3), "numero_clientes": person, "client_zip_code": person}
        clone(estimator).fit(X.assign(**few), y)


def check_parameters_that_are_no_numbers(estimator: Any, X: pd.DataFrame, y: Any) -> None:
    assert estimator.LEAST
    for name, least in estimator.LEAST.items():
        for wrong in (least - 1, -5, "182", None, True, least + 0.5):
            with pytest.raises(ValueError, match=f"{name} is .*whole number, {least} or more"):
                clone(estimator).set_params(**{name: wrong}).fit(X, y)


def check_no_rows(estimator: Any, X: pd.DataFrame, y: Any) -> None:
    """Nothing can be explained of no rows, and nothing judged."""
    fitted = clone(estimator).fit(X, y)
    assert list(fitted.explain(X.head(0)).columns) == list(fitted.explain(X.head(1)).columns)
    assert len(fitted.explain(X.head(0))) == 0
    with pytest.raises(ValueError, match="no rows to judge"):
        fitted.evaluate(X.head(0), None if y is None else np.asarray(y)[:0])


def check_damaged_files(estimator: Any, X: pd.DataFrame, y: Any) -> None:
    files = clone(estimator).fit(X, y).to_files()
    trees = next(name for name in files if name.endswith(".txt"))
    for damage in ({"model.json": b"{"}, {"model.json": b"[]"}, {"model.json": b"\xff"}, {trees: b"xx"}):
        with pytest.raises(ModelError, match=r"(incomplete or damaged|cannot be read).*(fit|train) again"):
            type(estimator).from_files(files | damage)


CHECKS: tuple[Check, ...] = (
    check_clone_and_parameters,
    check_not_fitted,
    check_second_fit_is_equal_and_forgets,
    check_fitted_attributes,
    check_column_order_does_not_matter,
    check_missing_and_extra_columns,
    check_rows_keep_order_and_index,
    check_single_and_no_rows,
    check_input_is_left_as_it_was,
    check_missing_values,
    check_unseen_categories,
    check_files,
    check_columns_that_are_refused,
    check_types_of_columns,
    check_protected_attributes,
    check_members_that_are_missing,
    check_dates_that_are_unclear,
    check_keys_among_the_numbers,
    check_rows_that_were_learnt_are_noted,
    check_treatments_that_are_numbers,
    check_numbers_written_as_texts,
    check_keys_of_persons,
    check_parameters_that_are_no_numbers,
    check_no_rows,
    check_damaged_files,
)
