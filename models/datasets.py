"""Which dates and rows a model may learn from: matured labels only, split by time, people kept together.

Pure functions over dates and frames; the SQL that makes the rows is in dbt.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
import pandas as pd

from puntual.errors import ModelError

WARM_UP_DAYS = 56
"""A date needs this much history before it, or its features describe only that nothing was recorded yet."""


def risk_training_dates(
    as_of: date, horizon_days: int, history_start: date, step_weeks: int = 4, warm_up_days: int = WARM_UP_DAYS
) -> list[date]:
    """The as-of dates from which default risk learns, oldest first; empty when the history is too short.

    1. The newest is ``as_of - horizon_days``: its label window ``(T, T + horizon]`` ends today, so it is matured.
    2. Then every ``step_weeks`` weeks back, no earlier than ``history_start + warm_up_days``.

    >>> risk_training_dates(date(2026, 6, 30), 182, date(2025, 9, 1))
    [datetime.date(2025, 11, 4), datetime.date(2025, 12, 2), datetime.date(2025, 12, 30)]
    """
    if horizon_days < 1 or step_weeks < 1:
        raise ModelError(f"horizon_days and step_weeks must be at least 1, not {horizon_days} and {step_weeks}.")
    newest = as_of - timedelta(days=horizon_days)
    oldest = history_start + timedelta(days=warm_up_days)
    count = (newest - oldest).days // (7 * step_weeks) + 1
    return [newest - timedelta(weeks=step_weeks * k) for k in range(max(count, 0))][::-1]


def risk_dates_of_horizons(
    as_of: date, horizons: Sequence[int], history_start: date, step_weeks: int = 4
) -> tuple[list[date], list[date]]:
    """The dates of the longest horizon, and the newer ones on which only shorter horizons have matured, oldest first.

    The newer ones are the :func:`risk_training_dates` of each shorter horizon that lie at least half a step after every
    date already taken: without them early warning would learn nothing of its own newest labels.

    >>> risk_dates_of_horizons(date(2026, 6, 30), [182, 91], date(2025, 11, 1))
    ([datetime.date(2025, 12, 30)], [datetime.date(2026, 2, 3), datetime.date(2026, 3, 3), datetime.date(2026, 3, 31)])
    """
    longest, *shorter = sorted(set(horizons), reverse=True)
    whole = risk_training_dates(as_of, longest, history_start, step_weeks)
    newer: list[date] = []
    for horizon in shorter:
        least = max([*whole, *newer], default=date.min)
        newer += [
            day
            for day in risk_training_dates(as_of, horizon, history_start, step_weeks)
            if least == date.min or 2 * (day - least).days >= 7 * step_weeks
        ]
    return whole, newer


def channel_training_dates(as_of: date, weeks: int = 78, history_start: date | None = None) -> list[date]:
    """The as-of dates from which the channel model learns, oldest first.

    ``as_of - 1 - 7k`` for ``k = 1..weeks``: the response window ``(T, T + 7]`` of the newest ends yesterday, since the
    payments of today are not complete. With ``history_start``, dates with less than the warm-up before them are left
    out.

    >>> channel_training_dates(date(2026, 6, 30), weeks=2)
    [datetime.date(2026, 6, 15), datetime.date(2026, 6, 22)]
    """
    if weeks < 1:
        raise ModelError(f"weeks must be at least 1, not {weeks}.")
    dates = [as_of - timedelta(days=1 + 7 * k) for k in range(weeks, 0, -1)]
    if history_start is None:
        return dates
    return [day for day in dates if day >= history_start + timedelta(days=WARM_UP_DAYS)]


def sample_threshold(customer_count: int, dates: int, target_rows: int) -> str:
    """The text for ``control.run_parameters.sample_below``: about ``target_rows`` customer-dates are below it.

    A customer is sampled iff the first four hex digits of md5(customer_id) sort below it; 'g' takes everyone, ''
    nobody. The same customers stay in the sample from run to run, and a larger sample contains a smaller one.

    >>> sample_threshold(1000, 10, 1_000_000), sample_threshold(100_000, 10, 250_000), sample_threshold(10, 0, 5)
    ('g', '4000', '')
    """
    if customer_count <= 0 or dates <= 0 or target_rows <= 0:
        return ""
    share = target_rows / (customer_count * dates)
    return "g" if share >= 1 else f"{max(1, round(share * 65536)):04x}"


@dataclass(frozen=True)
class TimeSplit:
    """Which rows are learnt from and which are judged, and how they were kept apart."""

    train: np.ndarray
    test: np.ndarray
    kind: str
    description_es: str
    description_en: str
    train_dates: tuple[date, ...]
    test_dates: tuple[date, ...]


def time_split(dates: pd.Series, *, gap_days: int, test_date_count: int, min_train_dates: int = 1) -> TimeSplit | None:
    """The newest dates to judge and the older ones to learn from, with ``T_train + gap_days <= T_test``.

    Fewer test dates are tried before giving up; None when even one test date leaves fewer than ``min_train_dates``.
    """
    days = np.sort(dates.unique())
    for count in range(min(test_date_count, max(len(days) - 1, 0)), 0, -1):
        test_days = days[-count:]
        train_days = days[days <= test_days[0] - np.timedelta64(gap_days, "D")]
        if len(train_days) >= min_train_dates:
            values = dates.to_numpy()
            return TimeSplit(
                train=np.flatnonzero(np.isin(values, train_days)),
                test=np.flatnonzero(np.isin(values, test_days)),
                kind="time_with_gap",
                description_es=f"Por tiempo, con un vacío de {gap_days} días: ninguna etiqueta se solapa.",
                description_en=f"By time, with a gap of {gap_days} days: no label overlaps.",
                train_dates=_days(train_days),
                test_dates=_days(test_days),
            )
    return None


def member_split(dates: pd.Series, members: pd.Series, *, test_date_count: int) -> TimeSplit:
    """A fallback for a short history: judge half of the members on the newest dates, learn from the other half.

    It cannot show how the model ages, and the card says so.
    """
    days = np.sort(dates.unique())
    test_days = days[-test_date_count:]
    half = member_fold(members, 2, salt=1)
    values = dates.to_numpy()
    return TimeSplit(
        train=np.flatnonzero(half == 0),
        test=np.flatnonzero((half == 1) & np.isin(values, test_days)),
        kind="members_without_gap",
        description_es="Historia corta: se separó por socios, sin vacío de tiempo. No muestra cómo envejece el modelo.",
        description_en="Short history: split by members, without a gap in time. It does not show how the model ages.",
        train_dates=_days(days),
        test_dates=_days(test_days),
    )


def member_fold(members: pd.Series, folds: int, *, salt: int = 0) -> np.ndarray:
    """The fold 0..folds-1 of every row, the same for all rows of a member and independent of the other rows.

    Splits within a split need another ``salt``, or one side of the outer one would fall into one fold of the inner one.
    """
    codes, names = pd.factorize(members.astype("object"))
    hashed = pd.util.hash_array(np.asarray(names, dtype=object), categorize=False)
    return ((hashed >> np.uint64(5 + 11 * salt)) % np.uint64(folds)).astype(np.int64)[codes]


def thinned(rows: pd.DataFrame, most: int) -> pd.DataFrame:
    """The rows of so many members, drawn by their identity, that about ``most`` remain; never more."""
    if len(rows) <= most:
        return rows
    part = member_fold(rows["customer_id"], 10_000, salt=3)
    counted = np.cumsum(np.bincount(part, minlength=10_000))
    return rows.loc[part < np.searchsorted(counted, most, side="right")].reset_index(drop=True)


def training_rows(
    features: pd.DataFrame, labels: pd.DataFrame, *, on: Sequence[str], flags: Sequence[str], as_of: date, model: str
) -> pd.DataFrame:
    """Feature rows on which all ``flags`` are true, with their labels, in the order of the key.

    Rows without a label are left out.

    Raises:
        ModelError: a key repeats, or a row is dated after ``as_of``.
    """
    keys = list(on)
    chosen = np.ones(len(features), dtype=bool)
    for flag in flags:
        chosen &= features[flag].to_numpy(dtype=bool)
    places = np.flatnonzero(chosen)
    left = features[keys].iloc[places].assign(as_of_date=lambda frame: as_dates(frame["as_of_date"]), _place=places)
    right = labels.assign(as_of_date=as_dates(labels["as_of_date"]))
    for frame, name in ((left, "features"), (right, "labels")):
        if frame.duplicated(keys).any():
            raise ModelError(f"{model}: a key {keys} appears twice in the {name}; rebuild them.")
    if len(left) and left["as_of_date"].max() > pd.Timestamp(as_of):
        raise ModelError(
            f"{model}: a training row is dated after {as_of}; nothing later than the run's date may be used."
        )
    joined = left.merge(right, on=keys, how="inner").sort_values(keys, kind="stable", ignore_index=True)
    rows = features.iloc[joined["_place"].to_numpy()].reset_index(drop=True)
    added = [name for name in right.columns if name not in set(rows.columns)]
    return pd.concat([rows.assign(as_of_date=joined["as_of_date"]), joined[added]], axis=1)


def as_dates(column: pd.Series) -> pd.Series:
    """A date column (dates, text or timestamps) as datetime64 without a time of day."""
    return pd.to_datetime(column).astype("datetime64[us]").dt.normalize()


def _days(values: np.ndarray) -> tuple[date, ...]:
    return tuple(pd.Timestamp(value).date() for value in values)
