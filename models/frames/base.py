"""What every estimator for notebooks does with a frame: columns by type, refusals with a reason, no pickle.

A new one derives from :class:`FrameEstimator`, names its role columns in ``ROLES``, learns with ``_learn``, reads rows
with ``_read`` and says with ``_state`` and ``_restore`` what its files hold; one line in :mod:`models.lazy` gives it to
notebooks and one line in the house checks tests it.
"""

from __future__ import annotations

import datetime
import json
import re
import warnings
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, ClassVar, Self

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_array, check_is_fitted

from models.artifacts import json_bytes
from models.datasets import as_dates
from models.estimators import booster_from_text
from models.features import Feature, FeatureSpec, FeatureType, encode, learn_categories
from models.protected import is_protected, protected, words
from puntual.errors import ModelError

MOST_TEXTS, MOST_TEXT_SHARE = 50, 0.5
"""A text column with more values than the first, and more than this share of the rows, names rows and tells nothing."""
LEAST_CATEGORY_ROWS = 50
ID_WORDS = frozenset({"id", "ids", "codigo", "cedula", "ruc", "dni", "identificacion", "ssn"})
"""A column of many whole numbers with one of these words in its name is taken for a key."""
FIRST_DAY = pd.Timestamp("1970-01-01")


class ExtraColumnsWarning(UserWarning):
    """A frame has columns that the model was not trained on; they are not read."""


class IdentifierWarning(UserWarning):
    """A column of whole numbers looks like a key; it was learnt from."""


class FrameEstimator(BaseEstimator):
    """Learns from the columns of a frame, whatever they are called; arrays are frames without names.

    Numbers, booleans and texts are told apart by what the columns hold. Dates are refused: a tree learns them by heart,
    and they name the past. So are protected attributes (:mod:`models.protected`; the parameter ``allow_protected``
    names those that are learnt from deliberately), and texts that name single rows. The columns named by the parameters
    of ``ROLES`` (date, member, ...) are read but never learnt from.
    """

    ROLES: ClassVar[tuple[str, ...]] = ("date", "member")
    NAME: ClassVar[str]
    FORMAT: ClassVar[str]

    allow_protected: Sequence[str] | None
    last_date_: pd.Timestamp | None

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
        allowed = self._allowed(names)
        given = dict(getattr(self, "monotone", None) or {})
        columns = []
        for name in names:
            if is_protected(name) and name not in allowed:
                raise ValueError(
                    f"{self.NAME}: by its name the column {name!r} is a protected attribute (gender, age or marital "
                    "state), which is not learnt from. Drop it; rename it if it is something else; or, after a "
                    f"decision that can be answered for, give allow_protected=[{name!r}]."
                )
            kind = _kind(self.NAME, name, frame[name])
            if named:
                _warn_of_keys(self.NAME, name, frame[name])
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

    def _allowed(self, names: Sequence[str]) -> set[str]:
        """The protected columns that may be learnt from."""
        given = self.allow_protected
        if isinstance(given, str):
            raise ValueError(
                f"{self.NAME}: allow_protected is the text {given!r}; give a list of columns: [{given!r}]."
            )
        unknown = sorted(set(given or ()) - set(protected(names)))
        if unknown:
            raise ValueError(
                f"{self.NAME}: allow_protected names {unknown}, which are no protected columns of the frame; it has "
                f"{protected(names)}."
            )
        return set(given or ())

    @property
    def protected_(self) -> list[str]:
        """Protected attributes that were learnt from because ``allow_protected`` names them; mostly none."""
        check_is_fitted(self, "spec_")
        return protected(self.spec_.names)

    def _note(self, frame: pd.DataFrame, days: int) -> str:
        """What a reader of measures on a frame must know; ``days`` is how long after a date its outcome is seen."""
        said = []
        if self.protected_:
            said.append(f"Learnt from protected attributes, allowed by name: {', '.join(self.protected_)}.")
        if self.last_date_ is not None and self._role_columns()["date"] in frame.columns and len(frame):
            ends, first = self.last_date_ + pd.Timedelta(days=days), self._dates(frame).min()
            if first < ends:
                said.append(
                    f"The first judged date is {first.date()}, before the labels of the learnt rows had ended "
                    f"({ends.date()}): what is measured may be too good. Judge dates after that."
                )
        return " ".join(said)

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
        dates = _days(self.NAME, name, frame[name]).reset_index(drop=True)
        if dates.isna().any():
            raise ValueError(f"{self.NAME}: {int(dates.isna().sum())} rows have no date in {name!r}.")
        return dates

    def _members(self, frame: pd.DataFrame) -> pd.Series:
        """Who every row belongs to; each row is its own member where there is no member column."""
        name = self._role_columns().get("member")
        if name is None or name not in frame.columns:
            return pd.Series(np.arange(len(frame)).astype(str))
        missing = int(frame[name].isna().sum())
        if missing:
            raise ValueError(
                f"{self.NAME}: {missing} of {len(frame)} rows have no member in {name!r}, so rows of one member cannot "
                "be kept together. Leave those rows out, or set member=None when every row is someone else."
            )
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
        ValueError: it holds dates or lists, or names rows.
    """
    dtype = column.dtype
    if pd.api.types.is_bool_dtype(dtype):
        return "boolean"
    if pd.api.types.is_complex_dtype(dtype):
        raise ValueError(f"{model}: Complex data not supported: column {name!r}.")
    if pd.api.types.is_numeric_dtype(dtype):
        return "number"
    known = column.dropna()
    times = (
        pd.api.types.is_datetime64_any_dtype(dtype)
        or pd.api.types.is_timedelta64_dtype(dtype)
        or isinstance(dtype, pd.PeriodDtype)
        or _holds(known, _DATES)
    )
    if times or _are_text_dates(known):
        raise ValueError(
            f"{model}: column {name!r} holds dates, which a model would learn by heart. Name it in the parameter date, "
            "turn it into days before the date of the row, or drop it."
        )
    if _holds(known, (bool, np.bool_)):
        return "boolean"
    if _holds(known, (int, float, Decimal, np.number)):
        return "number"
    if pd.api.types.is_object_dtype(dtype) and any(isinstance(value, _COLLECTIONS) for value in known):
        raise ValueError(
            f"{model}: column {name!r} holds lists or other collections, which are neither numbers nor texts. Make one "
            "column of each thing that they tell (a count, a flag), or drop it."
        )
    texts = known.astype("object").astype(str).nunique()
    if texts > MOST_TEXTS and texts > MOST_TEXT_SHARE * len(column):
        raise ValueError(
            f"{model}: the text column {name!r} has {texts} values in {len(column)} rows: it names rows. "
            "Name it in the parameter member, or drop it."
        )
    return "category"


_DATES = (datetime.date, datetime.timedelta, np.datetime64, pd.Period)
_COLLECTIONS = (list, tuple, set, frozenset, dict, np.ndarray)
_ISO_DATE = r"\s*\d{4}-\d{2}-\d{2}(?:[T ]\d{2}:.*)?\s*"
_ANY_DATE = rf"{_ISO_DATE}|\s*(?:\d{{4}}[/.]\d{{1,2}}[/.]\d{{1,2}}|\d{{1,2}}[-/.]\d{{1,2}}[-/.]\d{{2,4}})(?:[T ].*)?\s*"


def _are_text_dates(known: pd.Series) -> bool:
    """Whether most of the values are texts that read as dates."""
    some = [value for value in known.head(1000).tolist() if isinstance(value, str)]
    return bool(some) and sum(re.fullmatch(_ANY_DATE, value) is not None for value in some) > len(some) / 2


def _days(model: str, name: str, column: pd.Series) -> pd.Series:
    """The days of a date column.

    Raises:
        ValueError: they carry a time zone, are periods or numbers, or texts that can be read in more than one way.
    """
    say = f"{model}: the date column {name!r}"
    if isinstance(column.dtype, pd.DatetimeTZDtype):
        raise ValueError(
            f"{say} carries the time zone {column.dtype.tz}, and the day of a moment depends on it. Take the local "
            f"day: frame[{name!r}].dt.tz_localize(None)."
        )
    if isinstance(column.dtype, pd.PeriodDtype) or _holds(column.dropna(), (pd.Period,)):
        raise ValueError(
            f"{say} holds periods, which have no one day. Take the first or the last: "
            f"pd.PeriodIndex(frame[{name!r}]).to_timestamp(how='end')."
        )
    if pd.api.types.is_numeric_dtype(column.dtype) and column.notna().any():
        raise ValueError(
            f"{say} holds numbers such as {column.dropna().iloc[0]}; turn them into dates with pd.to_datetime and the "
            "format that they are written in."
        )
    unclear = [one for one in column.dropna().unique() if isinstance(one, str) and not re.fullmatch(_ISO_DATE, one)]
    if unclear:
        raise ValueError(
            f"{say} holds {len(unclear)} texts that are no dates or can be read in more than one way, such as "
            f"{unclear[0]!r}. Write year-month-day, or turn them into dates with pd.to_datetime and their format."
        )
    try:
        return as_dates(column)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{say} cannot be read as dates ({error}); turn it into dates without a time zone.") from error


def _warn_of_keys(model: str, name: str, column: pd.Series) -> None:
    """Warn of whole numbers that name rows: a tree learns them by heart."""
    if not pd.api.types.is_integer_dtype(column.dtype):
        return
    count = column.nunique()
    if count > MOST_TEXTS and (count == len(column) or ID_WORDS & set(words(name))):
        warnings.warn(
            f"{model}: column {name!r} has {count} different whole numbers in {len(column)} rows and looks like a key, "
            "which a model learns by heart. Name it in the parameter member, or drop it; if it measures something, "
            f"give it as a decimal number: frame[{name!r}].astype(float).",
            IdentifierWarning,
            stacklevel=4,
        )


def _holds(known: pd.Series, types: tuple[type, ...]) -> bool:
    return known.dtype == object and len(known) > 0 and all(isinstance(value, types) for value in known.head(1000))
