"""What every estimator for notebooks does with a frame: columns by type, refusals with a reason, no pickle.

A new one derives from :class:`FrameEstimator`, names its role columns in ``ROLES``, learns with ``_learn``, reads rows
with ``_read`` and says with ``_state`` and ``_restore`` what its files hold; one line in :mod:`models.lazy` gives it to
notebooks and one line in the house checks tests it.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping, Sequence
from numbers import Integral
from typing import Any, ClassVar, Self

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_array, check_is_fitted

from models.artifacts import json_bytes
from models.estimators import booster_from_text
from models.features import Feature, FeatureSpec, encode, learn_categories
from models.frames.columns import check_keys, days_of, kind_of
from models.protected import is_protected, protected
from puntual.errors import ModelError

LEAST_CATEGORY_ROWS = 50
FIRST_DAY = pd.Timestamp("1970-01-01")


class ExtraColumnsWarning(UserWarning):
    """A frame has columns that the model was not trained on; they are not read."""


class FrameEstimator(BaseEstimator):
    """Learns from the columns of a frame, whatever they are called; arrays are frames without names.

    Numbers, booleans and texts are told apart by what the columns hold. Dates are refused: a tree learns them by heart,
    and they name the past. So are protected attributes (:mod:`models.protected`; the parameter ``allow_protected``
    names those that are learnt from deliberately), texts that name single rows, keys and documents of persons, and
    numbers written as texts (:mod:`models.frames.columns` says where the lines are). The columns named by the
    parameters of ``ROLES`` (date, member, ...) are read but never learnt from. ``LEAST`` has the parameters that are
    whole numbers, with the least that each may be.
    """

    ROLES: ClassVar[tuple[str, ...]] = ("date", "member")
    NAME: ClassVar[str]
    FORMAT: ClassVar[str]
    LEAST: ClassVar[Mapping[str, int]] = {}

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
            ValueError: a parameter is not valid, a role column is missing, or a column cannot be learnt from; the text
                says which and why.
        """
        self._check_parameters()
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
            kind = kind_of(self.NAME, name, frame[name])
            if named:
                check_keys(self.NAME, name, frame[name], kind)
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

    def _check_parameters(self) -> None:
        """Refuse parameters that are no whole numbers, or too small, before anything is learnt by them.

        Raises:
            ValueError: the first such parameter, with what it is and what it may be.
        """
        for name, least in self.LEAST.items():
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, Integral) or value < least:
                raise ValueError(f"{self.NAME}: {name} is {value!r}; give a whole number, {least} or more.")

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
        dates = days_of(self.NAME, name, frame[name]).reset_index(drop=True)
        if dates.isna().any():
            raise ValueError(f"{self.NAME}: {int(dates.isna().sum())} rows have no date in {name!r}.")
        return dates

    def _check_some(self, frame: pd.DataFrame) -> None:
        """Refuse to judge no rows.

        Raises:
            ValueError: the frame has none.
        """
        if len(frame) == 0:
            raise ValueError(f"{self.NAME}: there are no rows to judge; the frame is empty.")

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
            ModelError: the files are of another format, incomplete or damaged.
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
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise ModelError(f"{cls.NAME}: the files are incomplete or damaged ({error}); fit again.") from error
        return found

    def _state(self) -> tuple[dict[str, Any], dict[str, bytes]]:
        """What was learnt, as JSON, and the files of the boosters."""
        raise NotImplementedError

    def _restore(self, state: Mapping[str, Any], boosters: Mapping[str, Any]) -> None:
        """Set what was learnt from what :meth:`_state` gave."""
        raise NotImplementedError
