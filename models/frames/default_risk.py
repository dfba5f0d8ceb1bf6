"""Default risk on any frame: the training and calibration of the pipeline's model, for notebooks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Self

import numpy as np
import pandas as pd
from sklearn.base import ClassifierMixin, clone
from sklearn.utils import Tags
from sklearn.utils.multiclass import check_classification_targets, type_of_target
from sklearn.utils.validation import check_consistent_length, column_or_1d

from models.calibration import Calibration
from models.datasets import TimeSplit, member_split, time_split
from models.default_risk.score import BoostedTarget
from models.default_risk.settings import DefaultRiskSettings
from models.default_risk.train import TargetRows, fit_boosted
from models.estimators import BinnedMatrix, BoosterSettings, booster_text, contributions
from models.frames.base import FrameEstimator
from models.metrics import calibration_table, metrics_with_interval
from models.seasons import Season


class DefaultRisk(ClassifierMixin, FrameEstimator):
    """Calibrated probability of an event within a horizon, by boosted trees.

    As in the pipeline: trees on a yearly season (when the dates span a year), calibrated on the newest dates with
    people whom the trees did not see; all rows of a member stay on one side of every split.

    Args:
        date: column with the as-of date of a row; None when all rows are of one date.
        member: column that says who a row belongs to; None when every row is someone else.
        horizon_days: how long after the date the event may come; also the gap between learning and judging.
        monotone: sign by column: 1 when more of it never lowers the probability, -1 when it never raises it.
        test_date_count: how many of the newest dates :meth:`backtest` judges.
        rounds: number of trees.
        learning_rate: weight of one tree.
        num_leaves: leaves of one tree.
        allow_protected: columns whose names speak of gender, age or marital state and that are learnt from all the
            same; the note of every evaluation names them.
        n_jobs: threads.
        seed: of everything drawn; the same rows and seed give the same bytes.

    Attributes:
        classes_: the two values of the outcome; the second is the event.
        spec_: the columns with their types and signs.
        note_: how it was calibrated, and on which dates.
    """

    NAME = "DefaultRisk"
    FORMAT = "frame_default_risk/1"
    LEAST: ClassVar[Mapping[str, int]] = {"horizon_days": 1, "test_date_count": 1, "rounds": 1, "num_leaves": 2}

    def __init__(
        self,
        date: str | None = None,
        member: str | None = None,
        horizon_days: int = 182,
        monotone: Mapping[str, int] | None = None,
        test_date_count: int = 3,
        rounds: int = 120,
        learning_rate: float = 0.1,
        num_leaves: int = 7,
        allow_protected: Sequence[str] | None = None,
        n_jobs: int = 1,
        seed: int = 0,
    ) -> None:
        self.date = date
        self.member = member
        self.horizon_days = horizon_days
        self.monotone = monotone
        self.test_date_count = test_date_count
        self.rounds = rounds
        self.learning_rate = learning_rate
        self.num_leaves = num_leaves
        self.allow_protected = allow_protected
        self.n_jobs = n_jobs
        self.seed = seed

    def fit(self, X: Any, y: Any) -> Self:
        """Learn from rows and their outcomes (two values; the larger one is the event).

        Raises:
            ValueError: a parameter is not valid, a column cannot be learnt from, or the outcome has missing values or
                not two values.
        """
        if y is None:
            raise ValueError(f"{self.NAME} requires y to be passed, but the target y is None.")
        frame, matrix = self._learn(X)
        outcome = self._outcome(frame, y)
        classes = np.unique(outcome)
        if len(classes) != 2:
            kind = type_of_target(outcome)
            what = f"The type of the target is {kind}. " if len(classes) > 2 else ""
            raise ValueError(
                f"Only binary classification is supported. {what}{self.NAME} needs two classes in y, and "
                f"there is {'one class' if len(classes) == 1 else f'{len(classes)} classes'}."
            )
        self.classes_ = classes
        dates, members = self._dates(frame), self._members(frame)
        booster = BoosterSettings(
            rounds=self.rounds,
            learning_rate=self.learning_rate,
            num_leaves=self.num_leaves,
            n_jobs=self.n_jobs,
            seed=self.seed,
        )
        binned = BinnedMatrix(
            matrix, self._safe_names(), self._safe_names(categories=True), booster, monotone=self._signs()
        )
        part = TargetRows(
            name=self.NAME,
            rows=np.arange(len(frame)),
            outcome=(outcome == classes[1]).astype(float),
            dates=dates,
            members=members,
            loans=members,
            past_due_days=np.zeros(len(frame)),
            day_of_year=dates.dt.day_of_year.to_numpy(dtype=float),
            climate_expected=np.full((len(frame), 2), np.nan),
            threshold=0,
            horizon_days=self.horizon_days,
        )
        settings = DefaultRiskSettings(horizon_days=self.horizon_days, n_jobs=self.n_jobs, booster=booster)
        self.target_, self.note_ = fit_boosted(part, binned, booster, settings, seed=self.seed)
        self.last_date_ = dates.max() if self.date is not None else None
        return self

    def predict_proba(self, X: Any) -> np.ndarray:
        """One row per row, in their order; the columns are the probabilities of ``classes_``."""
        frame, matrix = self._read(X)
        event = self._probability(frame, matrix)
        return np.column_stack([1.0 - event, event])

    def predict(self, X: Any) -> np.ndarray:
        """The likelier of the two classes, one per row."""
        likely = self.predict_proba(X)[:, 1] > 0.5
        return self.classes_[likely.astype(int)]

    def evaluate(self, X: Any, y: Any, *, draws: int = 200) -> pd.DataFrame:
        """AUC, Brier, ECE and log loss of rows that were not learnt from, one row each: value, low, high (95 %).

        Intervals resample members. ``attrs["calibration"]`` of the result is the table of expected and seen rates, and
        ``attrs["note"]`` says when the rows begin before the labels of the learnt ones had ended, and which protected
        attributes were learnt from.

        Raises:
            ValueError: there are no rows, or an outcome is missing or none of ``classes_``.
        """
        frame, matrix = self._read(X)
        self._check_some(frame)
        outcome = self._outcome(frame, y)
        strange = sorted(set(outcome.tolist()) - set(self.classes_.tolist()), key=str)
        if strange:
            raise ValueError(
                f"{self.NAME}: the outcome has {strange[:6]}, and what was learnt is {self.classes_.tolist()}; write "
                "the outcomes in the same way."
            )
        event = (outcome == self.classes_[1]).astype(float)
        probability = self._probability(frame, matrix)
        members = self._members(frame).to_numpy()
        found = pd.DataFrame(metrics_with_interval(event, probability, members, draws=draws, seed=self.seed)).T
        found.index.name = "metric"
        found.attrs["calibration"] = calibration_table(event, probability).to_dict("records")
        found.attrs["note"] = self._note(frame, self.horizon_days)
        return found

    def explain(self, X: Any) -> pd.DataFrame:
        """Exact tree SHAP values in log odds, before calibration: the frame's index, one column per feature."""
        frame, matrix = self._read(X)
        values = np.zeros(matrix.shape)
        if len(frame):
            values = contributions(self.target_.booster, matrix, n_jobs=self.n_jobs)
        index = frame.index if isinstance(X, pd.DataFrame) else None
        return pd.DataFrame(values, columns=list(self.spec_.names), index=index)

    def split(self, X: pd.DataFrame) -> TimeSplit:
        """Places of rows to learn from and to judge: the newest dates, after a gap as long as the horizon.

        With a history too short for that, half of the members on the newest dates; ``kind`` says which it is.
        """
        self._check_parameters()
        frame, _ = self._frame(X, fitting=True)
        dates, members = self._dates(frame), self._members(frame)
        found = time_split(dates, gap_days=self.horizon_days, test_date_count=self.test_date_count)
        return found or member_split(dates, members, test_date_count=self.test_date_count)

    def backtest(self, X: pd.DataFrame, y: Any, *, draws: int = 200) -> pd.DataFrame:
        """:meth:`evaluate` of a copy that learnt only from :meth:`split`'s older rows, on its newer ones."""
        frame, _ = self._frame(X, fitting=True)
        places = self.split(frame)
        outcome = self._outcome(frame, y)
        learnt = clone(self).fit(frame.iloc[places.train], outcome[places.train])
        found = learnt.evaluate(frame.iloc[places.test], outcome[places.test], draws=draws)
        found.attrs["split"] = places.description_en
        return found

    def _outcome(self, frame: pd.DataFrame, y: Any) -> np.ndarray:
        if isinstance(y, pd.Series) and y.isna().any():
            raise ValueError(f"{self.NAME}: {int(y.isna().sum())} rows have no outcome; leave them out.")
        if isinstance(y, pd.Series) and pd.api.types.is_bool_dtype(y.dtype):
            y = y.to_numpy(dtype=bool)
        outcome = column_or_1d(y, warn=True)
        check_consistent_length(frame, outcome)
        if outcome.dtype == object:
            missing = int(pd.isna(outcome).sum())
            if missing:
                raise ValueError(f"{self.NAME}: {missing} rows have no outcome; leave them out.")
            # True and False, 0 and 1 in a column of objects, as databases hand them over, are what they are
            plain = pd.Series(outcome, dtype=object).infer_objects().to_numpy()
            outcome = plain if plain.dtype.kind in "biuf" else outcome
        if outcome.dtype.kind in "fc" and not np.isfinite(outcome).all():
            raise ValueError("Input y contains NaN or infinity.")
        check_classification_targets(outcome)
        return outcome

    def _probability(self, frame: pd.DataFrame, matrix: np.ndarray) -> np.ndarray:
        day = self._dates(frame).dt.day_of_year.to_numpy(dtype=float)
        return self.target_.probability(matrix, np.zeros(len(frame)), day, np.full((len(frame), 2), np.nan))

    def _state(self) -> tuple[dict[str, Any], dict[str, bytes]]:
        state = {
            "classes": self.classes_.tolist(),
            "class_type": self.classes_.dtype.str,
            "season": list(self.target_.season.coefficients),
            "calibration": self.target_.calibration.to_json(),
            "note": self.note_,
            "last_date": None if self.last_date_ is None else self.last_date_.isoformat(),
        }
        return state, {"trees.txt": booster_text(self.target_.booster).encode()}

    def _restore(self, state: Mapping[str, Any], boosters: Mapping[str, Any]) -> None:
        self.classes_ = np.array(state["classes"], dtype=np.dtype(state["class_type"]))
        calibration = Calibration.from_json(state["calibration"])
        self.target_ = BoostedTarget(boosters["trees"], Season(tuple(state["season"])), calibration, self.n_jobs)
        self.note_ = state["note"]
        self.last_date_ = None if state["last_date"] is None else pd.Timestamp(state["last_date"])

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.string = True
        if tags.classifier_tags is not None:
            tags.classifier_tags.multi_class = False
        return tags
