"""What every estimator for notebooks does with a frame: columns by type, refusals with a reason, no pickle.

A new one derives from :class:`FrameEstimator`, names its role columns in ``ROLES``, learns with ``_learn``, reads rows
with ``_read`` and says with ``_state`` and ``_restore`` what its files hold; one line in :mod:`models.lazy` gives it to
notebooks and one line in the house checks tests it.
"""

from __future__ import annotations

import datetime
import json
import warnings
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, ClassVar, Self

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_array, check_is_fitted

from models.artifacts import json_bytes
from models.datasets import as_dates
from models.estimators import booster_from_text
from models.features import PROTECTED, Feature, FeatureSpec, FeatureType, encode, learn_categories
from puntual.errors import ModelError

MOST_TEXTS, MOST_TEXT_SHARE = 50, 0.5
"""A text column with more values than the first, and more than this share of the rows, names rows and tells nothing."""
LEAST_CATEGORY_ROWS = 50
FIRST_DAY = pd.Timestamp("1970-01-01")


class ExtraColumnsWarning(UserWarning):
    """A frame has columns that the model was not trained on; they are not read."""


class FrameEstimator(BaseEstimator):
    """Learns from the columns of a frame, whatever they are called; arrays are frames without names.

    Numbers, booleans and texts are told apart by what the columns hold. Dates are refused: a tree learns them by heart,
    and they name the past. So are protected attributes, and texts that name single rows. The columns named by the
    parameters of ``ROLES`` (date, member, ...) are read but never learnt from.
    """

    ROLES: ClassVar[tuple[str, ...]] = ("date", "member")
    NAME: ClassVar[str]
    FORMAT: ClassVar[str]

    spec_: FeatureSpec
    categories_: dict[str, list[str]]
    n_features_in_: int
    feature_names_in_: np.ndarray

    # --- learning and reading a frame ----------------------------------------------------------------------------

    def _learn(self, X: Any, reserved: tuple[str, ...] = ()) -> tuple[pd.DataFrame, np.ndarray]:
        """The frame as it is read, and the matrix of the columns to learn from; sets what is known of the columns.

        Raises:
            ValueError: a role column is missing, or a column cannot be learnt from; the text says which and why.
        """
        frame, named = self._frame(X, fitting=True)
        roles = {name for name in self._role_columns().values() if name is not None} | set(reserved)
        absent = sorted(name for name in roles if name not in frame.columns)
        if absent:
            raise ValueError(f"{self.NAME}: the frame has no column {absent}, which the parameters name.")
        names = [name for name in frame.columns if name not in roles]
        if not names:
            raise ValueError(f"{self.NAME}: there is no column to learn from besides {sorted(roles)}.")
        given = dict(getattr(self, "monotone", None) or {})
        columns = []
        for name in names:
            kind = _kind(self.NAME, name, frame[name])
            columns.append(Feature(name, kind, "given by the user", monotone=int(given.pop(name, 0))))
            if columns[-1].monotone not in (-1, 0, 1):
                raise ValueError(f"{self.NAME}: monotone[{name!r}] is {columns[-1].monotone}; it must be -1, 0 or 1.")
            if columns[-1].monotone and kind == "category":
                raise ValueError(f"{self.NAME}: {name!r} is a text; only numbers and booleans can be monotone.")
        if given:
            raise ValueError(f"{self.NAME}: monotone names {sorted(given)}, which are not columns to learn from.")
        self.spec_ = FeatureSpec(self.NAME, "the frame", tuple(columns), ())
        table = self._plain(frame)
        least = max(1, min(LEAST_CATEGORY_ROWS, len(frame) // 100))
        self.categories_ = learn_categories(self.spec_, table, min_rows=least)
        self.n_features_in_ = len(names)
        if named:
            self.feature_names_in_ = np.array(names, dtype=object)
        elif hasattr(self, "feature_names_in_"):
            del self.feature_names_in_
        return frame, encode(self.spec_, table, self.categories_)

    def _read(self, X: Any) -> tuple[pd.DataFrame, np.ndarray]:
        """A frame with the columns that were learnt, in any order, and its matrix.

        Raises:
            NotFittedError: nothing was learnt yet.
            ValueError: a column is missing. Columns that were not there when the model was fitted are reported by an
                :class:`ExtraColumnsWarning` and not read.
        """
        check_is_fitted(self, "spec_")
        frame, named = self._frame(X, fitting=False)
        if not named and frame.shape[1] != self.n_features_in_:
            raise ValueError(
                f"X has {frame.shape[1]} features, but {type(self).__name__} is expecting {self.n_features_in_} "
                "features as input"
            )
        if not named and hasattr(self, "feature_names_in_"):
            warnings.warn(
                f"X does not have valid feature names, but {type(self).__name__} was fitted with feature names",
                UserWarning,
                stacklevel=3,
            )
            frame.columns = list(self.feature_names_in_)
        missing = [name for name in self.spec_.names if name not in frame.columns]
        if missing:
            raise ValueError(f"{self.NAME}: the frame lacks {missing}; a missing column is never filled.")
        known = {*self.spec_.names, *self._role_columns().values()}
        extra = [name for name in frame.columns if name not in known]
        if extra:
            shown = f"{extra[:8]}" + (" and more" if len(extra) > 8 else "")
            text = f"{self.NAME}: {len(extra)} columns were not there when the model was fitted: {shown}; not read."
            warnings.warn(text, ExtraColumnsWarning, stacklevel=3)
        return frame, encode(self.spec_, self._plain(frame), self.categories_)

    def _frame(self, X: Any, *, fitting: bool) -> tuple[pd.DataFrame, bool]:
        """The input as a frame of its own columns, and whether they have names."""
        if isinstance(X, pd.DataFrame):
            if len(X) == 0 and fitting:
                raise ValueError(f"{self.NAME}: Found array with 0 sample(s); a minimum of 1 is required.")
            if X.columns.has_duplicates:
                twice = sorted({str(name) for name in X.columns[X.columns.duplicated()]})
                raise ValueError(f"{self.NAME}: columns {twice} appear twice.")
            if all(isinstance(name, str) for name in X.columns):
                return X, True
            if any(isinstance(name, str) for name in X.columns):
                raise TypeError(
                    "Feature names are only supported if all input features have string names, but your input has "
                    f"{sorted({type(name).__name__ for name in X.columns})} as feature name / column name types. If "
                    "you want feature names to be stored and validated, you must convert them all to strings, by using "
                    "X.columns = X.columns.astype(str) for example."
                )
            X = X.to_numpy()
        array = check_array(X, dtype="numeric", ensure_all_finite="allow-nan", estimator=self)
        return pd.DataFrame(array, columns=[f"x{place}" for place in range(array.shape[1])]), False

    def _plain(self, frame: pd.DataFrame) -> pd.DataFrame:
        """The learnt columns as float and text, whatever dtype they came with."""
        plain: dict[str, Any] = {}
        for column in self.spec_.columns:
            values = frame[column.name]
            if column.type == "category":
                known = values.astype("object")
                plain[column.name] = known.where(known.isna(), known.astype(str)).to_numpy()
                continue
            try:
                plain[column.name] = values.to_numpy(dtype=np.float64, na_value=np.nan)
            except (TypeError, ValueError) as error:
                raise ValueError(f"{self.NAME}: column {column.name!r} was a {column.type}; now: {error}.") from error
            if np.isinf(plain[column.name]).any():
                raise ValueError(
                    f"{self.NAME}: column {column.name!r} holds infinity; give NaN where nothing is known."
                )
        return pd.DataFrame(plain, index=frame.index)

    def _safe_names(self, *, categories: bool = False) -> list[str]:
        """Names that LightGBM takes, whatever the columns are called: ``c0``, ``c1``, ... in the order of the spec."""
        return [f"c{place}" for place, one in enumerate(self.spec_.columns) if not categories or one.type == "category"]

    def _signs(self) -> dict[str, int]:
        return {f"c{place}": one.monotone for place, one in enumerate(self.spec_.columns) if one.monotone}

    def _role_columns(self) -> dict[str, str | None]:
        return {role: getattr(self, role) for role in self.ROLES}

    def _dates(self, frame: pd.DataFrame) -> pd.Series:
        """The date of every row; one and the same where there is no date column."""
        name = self._role_columns().get("date")
        if name is None or name not in frame.columns:
            return pd.Series(FIRST_DAY, index=range(len(frame))).astype("datetime64[us]")
        dates = as_dates(frame[name]).reset_index(drop=True)
        if dates.isna().any():
            raise ValueError(f"{self.NAME}: {int(dates.isna().sum())} rows have no date in {name!r}.")
        return dates

    def _members(self, frame: pd.DataFrame) -> pd.Series:
        """Who every row belongs to; each row is its own member where there is no member column."""
        name = self._role_columns().get("member")
        if name is None or name not in frame.columns:
            return pd.Series(np.arange(len(frame)).astype(str))
        return frame[name].astype("object").astype(str).reset_index(drop=True)

    # --- files ---------------------------------------------------------------------------------------------------

    def to_files(self) -> dict[str, bytes]:
        """The fitted estimator as JSON and LightGBM text, never pickle; :meth:`from_files` reads it back."""
        check_is_fitted(self, "spec_")
        head: dict[str, Any] = {
            "format": self.FORMAT,
            "schema_hash": self.spec_.schema_hash(),
            "settings": self.get_params(deep=False),
            "columns": [[column.name, column.type, column.monotone] for column in self.spec_.columns],
            "categories": self.categories_,
            "has_names": hasattr(self, "feature_names_in_"),
        }
        state, files = self._state()
        return files | {"model.json": json_bytes(head | {"state": state})}

    @classmethod
    def from_files(cls, files: Mapping[str, bytes]) -> Self:
        """The estimator that :meth:`to_files` wrote.

        Raises:
            ModelError: the files are of another format or incomplete.
        """
        try:
            head = json.loads(files["model.json"])
            if head["format"] != cls.FORMAT:
                raise ModelError(
                    f"{cls.NAME}: the files have the format {head['format']}, not {cls.FORMAT}; fit again."
                )
            found = cls(**head["settings"])
            columns = [Feature(name, kind, "given by the user", monotone=sign) for name, kind, sign in head["columns"]]
            found.spec_ = FeatureSpec(cls.NAME, "the frame", tuple(columns), ())
            found.categories_ = head["categories"]
            found.n_features_in_ = len(columns)
            if head["has_names"]:
                found.feature_names_in_ = np.array(found.spec_.names, dtype=object)
            boosters = {
                name.removesuffix(".txt"): booster_from_text(content.decode())
                for name, content in files.items()
                if name.endswith(".txt")
            }
            found._restore(head["state"], boosters)
        except (KeyError, TypeError) as error:
            raise ModelError(f"{cls.NAME}: the files are incomplete ({error}); fit again.") from error
        return found

    def _state(self) -> tuple[dict[str, Any], dict[str, bytes]]:
        """What was learnt, as JSON, and the files of the boosters."""
        raise NotImplementedError

    def _restore(self, state: Mapping[str, Any], boosters: Mapping[str, Any]) -> None:
        """Set what was learnt from what :meth:`_state` gave."""
        raise NotImplementedError


def _kind(model: str, name: str, column: pd.Series) -> FeatureType:
    """Whether a column is a number, a boolean or a category.

    Raises:
        ValueError: it holds dates, names rows, or is a protected attribute.
    """
    if name.lower() in PROTECTED:
        raise ValueError(f"{model}: {name!r} is a protected attribute and may not be learnt from; drop the column.")
    dtype = column.dtype
    if pd.api.types.is_bool_dtype(dtype):
        return "boolean"
    if pd.api.types.is_complex_dtype(dtype):
        raise ValueError(f"{model}: Complex data not supported: column {name!r}.")
    if pd.api.types.is_numeric_dtype(dtype):
        return "number"
    known = column.dropna()
    if pd.api.types.is_datetime64_any_dtype(dtype) or pd.api.types.is_timedelta64_dtype(dtype) or _holds(known, _DATES):
        raise ValueError(
            f"{model}: column {name!r} holds dates, which a model would learn by heart. Name it in the parameter date, "
            "turn it into days before the date of the row, or drop it."
        )
    if _holds(known, (bool, np.bool_)):
        return "boolean"
    if _holds(known, (int, float, Decimal, np.number)):
        return "number"
    texts = known.astype("object").astype(str).nunique()
    if texts > MOST_TEXTS and texts > MOST_TEXT_SHARE * len(column):
        raise ValueError(
            f"{model}: the text column {name!r} has {texts} values in {len(column)} rows: it names rows. "
            "Name it in the parameter member, or drop it."
        )
    return "category"


_DATES = (datetime.date, datetime.timedelta, np.datetime64)


def _holds(known: pd.Series, types: tuple[type, ...]) -> bool:
    return known.dtype == object and len(known) > 0 and all(isinstance(value, types) for value in known.head(1000))
