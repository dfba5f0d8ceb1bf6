"""The weekly panel as arrays: who owed in which week, how much of what, and whether anything was paid."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import numpy as np
import pandas as pd

from models.datasets import as_dates
from puntual.errors import ModelError

TABLE = "features.panel_customer__week"
COLUMNS = (
    "week_end_date",
    "customer_id",
    "owing_loan_count",
    "days_since_due",
    "collectable_amount",
    "installment_amount",
    "paid_amount",
)
WEEK_DAYS = 7

DAYS_SINCE_DUE: tuple[float, ...] = (-6, -5, -4, -3, -2, -1, 0, 1, 3, 6, 10, 16, 23, 31, 46, 61, 91, 121)
INSTALLMENTS_OWED = (0.3, 0.7, 1.05, 1.5, 2.05, 3.05, 4.05, 6.05, 8.05)
DAY_OF_MONTH: tuple[float, ...] = (4, 7, 10, 13, 16, 19, 22, 25, 28)
OWING_LOANS: tuple[float, ...] = (2, 3)
EDGES = (DAYS_SINCE_DUE, INSTALLMENTS_OWED, DAY_OF_MONTH, OWING_LOANS)
"""Groups of what a week's payment depends on besides the person; a value is in the group of the last edge it passed."""
GROUP_COUNT = sum(len(edges) + 1 for edges in EDGES)


@dataclass(frozen=True)
class WeeklyPanel:
    """One row per member and week in which something was collectable, by week and then by member.

    Attributes:
        members: the members of the panel, sorted.
        week_ends: last day of every week from the first to the newest, each seven days after the one before.
        starts: place of the first row of every week, and the number of rows at the end.
        member: place of the row's member in ``members``.
        paid: 1 when something was paid in the week, else 0.
        groups: one column per entry of ``EDGES``: place of the row's group among all ``GROUP_COUNT`` groups.
    """

    members: np.ndarray
    week_ends: tuple[date, ...]
    starts: np.ndarray
    member: np.ndarray
    paid: np.ndarray
    groups: np.ndarray

    @property
    def week(self) -> np.ndarray:
        """Place of the row's week in ``week_ends``."""
        return np.repeat(np.arange(len(self.week_ends)), np.diff(self.starts))

    def of_members(self, chosen: np.ndarray) -> WeeklyPanel:
        """The same weeks with only the members at the places ``chosen`` (sorted)."""
        place = np.full(len(self.members), -1)
        place[chosen] = np.arange(len(chosen))
        keep = place[self.member] >= 0
        kept_before = np.concatenate([[0], np.cumsum(keep)])
        return WeeklyPanel(
            self.members[chosen],
            self.week_ends,
            kept_before[self.starts],
            place[self.member[keep]],
            self.paid[keep],
            self.groups[keep],
        )


def weekly_panel(rows: pd.DataFrame) -> WeeklyPanel:
    """The panel of ``features.panel_customer__week``; the order of the rows does not matter.

    Raises:
        ModelError: a column is missing, a member stands twice in a week, or weeks do not lie seven days apart.
    """
    missing = [name for name in COLUMNS if name not in rows.columns]
    if missing:
        raise ModelError(f"willingness: {TABLE} lacks {missing}; build it with the present dbt project.")
    ends = as_dates(rows["week_end_date"]).to_numpy()
    member, names = pd.factorize(rows["customer_id"].astype("object"), sort=True)
    first = ends.min() if len(ends) else np.datetime64(0, "D")
    days = ((ends - first) // np.timedelta64(1, "D")).astype(np.int64)
    if (days % WEEK_DAYS).any():
        raise ModelError(f"willingness: the weeks of {TABLE} do not lie seven days apart; build it anew for one date.")
    week = days // WEEK_DAYS
    order = np.lexsort((member, week))
    week, member = week[order], member[order]
    if len(week) and ((np.diff(week) == 0) & (np.diff(member) == 0)).any():
        raise ModelError(f"willingness: a member stands twice in one week of {TABLE}; build it anew.")
    week_count = int(week[-1]) + 1 if len(week) else 0
    week_ends = pd.DatetimeIndex(pd.Timestamp(first) + pd.to_timedelta(WEEK_DAYS * np.arange(week_count), unit="D"))
    week_starts = week_ends - pd.Timedelta(days=WEEK_DAYS)

    def column(name: str) -> np.ndarray:
        return rows[name].to_numpy(dtype=np.float64)[order]

    columns = (
        column("days_since_due"),
        column("collectable_amount") / np.maximum(column("installment_amount"), 0.01),
        week_starts.day.to_numpy(dtype=np.float64)[week],
        column("owing_loan_count"),
    )
    groups = np.empty((len(rows), len(EDGES)), dtype=np.int32)
    before = 0
    for place, (edges, values) in enumerate(zip(EDGES, columns, strict=True)):
        groups[:, place] = before + np.searchsorted(edges, values, side="right")
        before += len(edges) + 1
    return WeeklyPanel(
        np.asarray(names, dtype=object),
        tuple(day.date() for day in week_ends),
        np.searchsorted(week, np.arange(week_count + 1)),
        member,
        (column("paid_amount") > 0).astype(np.float32),
        groups,
    )
