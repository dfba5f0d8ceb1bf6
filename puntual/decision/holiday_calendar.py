"""Public holidays of a country: the shipped table and what the institution adds, and which years are known at all.

The shipped table is the seed ``holidays`` of the dbt project: one file for the rules and for SQL.
"""

from __future__ import annotations

import csv
from collections import Counter
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import pandas as pd

from puntual.errors import RuleError

LEAST_OF_A_YEAR = 7
"""Holidays that make a year known where none is shipped: no country of the shipped table has fewer in a year.

A few local days say nothing of the national ones.
"""


@dataclass(frozen=True)
class HolidayCalendar:
    """Holidays and the years for which they are known. A day of an unknown year counts as blocked, not as a workday."""

    dates: frozenset[date]
    years: frozenset[int]

    def is_blocked(self, day: date) -> bool:
        """True on a holiday and on any day of a year whose holidays are not known."""
        return day.year not in self.years or day in self.dates

    def with_frame(self, holidays: pd.DataFrame | None, country: str) -> HolidayCalendar:
        """The same calendar with the institution's own rows (columns ``country``, ``date``) added.

        A year that was not known becomes so with :data:`LEAST_OF_A_YEAR` holidays of it; with fewer they count as
        holidays and the year stays unknown. Nothing is taken away: local holidays come on top of the national ones.
        """
        if holidays is None or holidays.empty:
            return self
        rows = holidays[holidays["country"].eq(country)]
        added = {day.date() for day in pd.to_datetime(rows["date"]).dropna()}
        of_year = Counter(day.year for day in self.dates | added)
        told = {year for year, count in of_year.items() if count >= LEAST_OF_A_YEAR}
        return HolidayCalendar(self.dates | added, self.years | told)


def shipped_holidays(shipped_dir: Path, country: str) -> HolidayCalendar:
    """National holidays of ``country`` from ``holidays.csv``; a country without rows has no known year.

    Raises:
        RuleError: the file is missing or a row of it is not a date.
    """
    file = shipped_dir / "holidays.csv"
    try:
        with file.open(encoding="utf-8", newline="") as handle:
            days = {date.fromisoformat(row["date"]) for row in csv.DictReader(handle) if row["country"] == country}
    except (OSError, KeyError, ValueError) as error:
        raise RuleError(f"{file} is not a table country,date,name: {error}") from error
    return HolidayCalendar(frozenset(days), frozenset(day.year for day in days))
