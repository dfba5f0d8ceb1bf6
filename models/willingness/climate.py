"""The payment climate: how readily everybody pays, week by week, apart from who they are and what they owe.

Labels of default mature half a year late, so a model that learnt from them stands at the level of the economy of then.
Whether people pay shows every week. The climate is what the weeks of all members have in common, in log odds of paying
in a week; what comes back every year is told from it and left to the season of each model.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from typing import TypeAlias

import numpy as np
import pandas as pd

from models.datasets import as_dates
from models.seasons import WALK_SPEEDS, Told, told_from_season
from models.willingness.kalman import COMMON_SEEN

TABLE = "ml.payment_climate"
COLUMNS = ("week_end_date", "weekly_level", "weekly_error", "climate_level")
LEAST_WEEKS = 26
"""With fewer weeks before a date its climate is not known."""
FIRST_ERROR = 0.25
"""Variance that the levels of the first weeks have at least, in which nobody is known yet."""
LEAST_CHANCE = 0.003
"""Variance that every week has at least beyond that of its members."""
AROUND, ODD_FROM = 5, 3.0
"""A week this many standard deviations from the middle of the five around it (at the end: of the last five) is a
strike, a holiday or payments that have not arrived, and is not believed; what lasts three weeks is the times."""
_MEDIAN_OF_SQUARES = 0.455
"""Of a normal variable of variance 1."""
LOCKDOWN = 0.5
"""Speed of the times, in log odds in four weeks, where everything stops at once, or starts again."""
HALF_LIFE = 26.0
"""Weeks after which half of a change of the times is gone, where it is of those that pass."""
_Days: TypeAlias = Sequence[date] | np.ndarray | pd.Series


@dataclass(frozen=True)
class Climate:
    """The weeks of a book, as :func:`models.willingness.kalman.walk` measures what they have in common.

    Attributes:
        week_ends: last days of the weeks, rising.
        level: of every week, in log odds.
        error: variance of the level.
    """

    week_ends: tuple[date, ...]
    level: np.ndarray
    error: np.ndarray

    @classmethod
    def of_rows(cls, rows: pd.DataFrame) -> Climate:
        """The climate of the rows of ``ml.payment_climate`` of one version; weeks in which nobody owed are left out."""
        known = rows[rows["weekly_level"].notna()].sort_values("week_end_date")
        return cls(
            tuple(day.date() for day in as_dates(known["week_end_date"])),
            known["weekly_level"].to_numpy(float),
            known["weekly_error"].to_numpy(float),
        )

    def to_rows(self) -> pd.DataFrame:
        """One row per week, with the columns :data:`COLUMNS`; :meth:`of_rows` reads it back."""
        values = (list(self.week_ends), self.level, self.error, self.times())
        return pd.DataFrame(dict(zip(COLUMNS, values, strict=True)))

    def expected(self, days: _Days, horizon_days: int) -> tuple[np.ndarray, np.ndarray]:
        """The mean level of ``(T, T + horizon_days]`` as it was expected on every day T, and its variance.

        From the weeks that ended by T, without the season. Whether a change of the times lasts is not known: some do,
        and some are half over after ``HALF_LIFE`` weeks. NaN for a day before ``LEAST_WEEKS`` weeks had ended.
        """
        found = self._by_day(days, lambda day: self._expected_on(day, horizon_days))
        return found[:, 0], found[:, 1]

    def until(self, day: date) -> Climate:
        """The same climate as it was known on a day: the weeks that ended by it."""
        weeks = int(np.searchsorted(self._ends, np.datetime64(day, "D"), side="right"))
        return Climate(self.week_ends[:weeks], self.level[:weeks], self.error[:weeks])

    def ahead(self, days: _Days, horizon_days: int) -> np.ndarray:
        """The mean level of the weeks that ended in ``(T, T + horizon_days]``, without the season; NaN without any.

        It looks ahead of T, as a label does: for learning from matured rows, never for scoring.
        """
        return self._by_day(days, lambda day: (self._mean_of(day, horizon_days), 0.0))[:, 0]

    def times(self) -> np.ndarray:
        """Of every week, the level without season and without the chance of the week, as all weeks together tell it."""
        return self._whole.times if len(self.level) else np.zeros(0)

    @cached_property
    def _ends(self) -> np.ndarray:
        return np.array(self.week_ends, dtype="datetime64[D]")

    def _doubt(self, weeks: int) -> np.ndarray:
        """Variance of the levels of the first weeks, with that of the beginning and of what hits single weeks.

        How far weeks lie from the mean of their neighbours says how much hits them alone as a rule: where wages are
        paid on two days of the month, a week without one is no crisis. The median, for a gap of a year ago must not
        make every week doubtful.
        """
        level, error = self.level[:weeks], self.error[:weeks]
        chance = LEAST_CHANCE
        if weeks >= AROUND:
            apart = level[1:-1] - (level[:-2] + level[2:]) / 2
            chance = max(chance, float(np.median(apart**2) / _MEDIAN_OF_SQUARES / 1.5 - np.median(error)))
        first = np.where(np.arange(weeks) < COMMON_SEEN, FIRST_ERROR, 0.0)
        doubt = np.maximum(error, first) + chance
        if weeks >= AROUND:
            start = np.clip(np.arange(weeks) - AROUND // 2, 0, weeks - AROUND)
            odd = (level - np.median(level[start[:, None] + np.arange(AROUND)], axis=1)) ** 2
            doubt = np.where(odd > ODD_FROM**2 * doubt, odd, doubt)
        return doubt

    @cached_property
    def _whole(self) -> Told:
        """What all weeks together tell."""
        return self._told(len(self.level))

    @cached_property
    def _deseasoned(self) -> np.ndarray:
        return self.level - _months(self._ends) @ self._whole.season

    @cached_property
    def _certainty(self) -> np.ndarray:
        return 1 / self._doubt(len(self.level))

    @cached_property
    def _known(self) -> dict[tuple[np.datetime64, int], tuple[float, float]]:
        return {}

    def _told(self, weeks: int, asked: np.ndarray | None = None) -> Told:
        """Season and times of the first weeks."""
        ends = self._ends[:weeks]
        error = self._doubt(weeks)
        speeds, lasting = (*WALK_SPEEDS, LOCKDOWN), (np.inf, HALF_LIFE / 4)
        return told_from_season(
            ends, _months(ends), self.level[:weeks], error, speeds=speeds, lasting=lasting, asked=asked
        )

    def _expected_on(self, day: np.datetime64, horizon_days: int) -> tuple[float, float]:
        weeks = int(np.searchsorted(self._ends, day, side="right"))
        if weeks < LEAST_WEEKS:
            return np.nan, np.nan
        if (day, horizon_days) not in self._known:
            found = self._told(weeks, day + np.arange(7, horizon_days + 1, 7).astype("timedelta64[D]"))
            self._known[day, horizon_days] = found.ahead, found.ahead_variance
        return self._known[day, horizon_days]

    def _mean_of(self, day: np.datetime64, horizon_days: int) -> float:
        after, last = np.searchsorted(self._ends, [day, day + np.timedelta64(horizon_days, "D")], side="right")
        weeks = slice(after, last)
        if last <= after:
            return np.nan
        return float(np.average(self._deseasoned[weeks], weights=self._certainty[weeks]))

    @staticmethod
    def _by_day(days: _Days, of_day: Callable[[np.datetime64], tuple[float, float]]) -> np.ndarray:
        each, place = np.unique(np.asarray(days, dtype="datetime64[D]"), return_inverse=True)
        return np.array([of_day(day) for day in each], dtype=float).reshape(-1, 2)[place.ravel()]


def _months(ends: np.ndarray) -> np.ndarray:
    """One column per month: 1 in the month that most of the week's days are in.

    Months and not waves: what a bonus in December and the bills of January do turns from one week to the next.
    """
    middle = ends - np.timedelta64(3, "D")
    month = middle.astype("datetime64[M]").astype(int) % 12
    return np.eye(12)[month]
