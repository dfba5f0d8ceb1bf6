"""Rows of the long table of KPIs, and the reasons for those that cannot be measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta

import pandas as pd

GRAIN_KEYS = (
    "branch_id",
    "product_code",
    "segment_code",
    "bucket_code",
    "collector_id",
    "agency",
    "channel_code",
    "campaign_id",
    "province",
)
COLUMNS = (
    "as_of_date",
    "period_code",
    "kpi_code",
    "grain_code",
    *GRAIN_KEYS,
    "detail_code",
    "numerator",
    "denominator",
)
STATUS_COLUMNS = ("as_of_date", "kpi_code", "reason_es", "reason_en")
PERIODS = ("day", "week", "month")


def period_start(as_of: date, period: str) -> date:
    """First day of the running day, ISO week or month that ends on ``as_of``.

    >>> period_start(date(2026, 7, 1), "week"), period_start(date(2026, 7, 1), "month")
    (datetime.date(2026, 6, 29), datetime.date(2026, 7, 1))
    """
    if period == "day":
        return as_of
    return as_of - timedelta(days=as_of.weekday()) if period == "week" else as_of.replace(day=1)


@dataclass
class KpiValues:
    """Collects rows of one business date.

    A figure that is true of the date itself is written for the day, the running week and the running month alike; the
    reader keeps of a week or a month what its last day says.
    """

    as_of: date
    rows: list[dict[str, object]] = field(default_factory=list)
    reasons: dict[str, tuple[str, str]] = field(default_factory=dict)

    def add(
        self,
        kpi_code: str,
        numerator: float | None,
        denominator: float = 1.0,
        *,
        grain: str = "total",
        detail: str | None = None,
        periods: Sequence[str] = PERIODS,
        keys: Mapping[str, str | None] | None = None,
    ) -> None:
        """One figure; ``keys`` are those of its grain. NaN and None are a figure that is not known: NULL.

        Raises:
            KeyError: a key that the long table does not have.
        """
        keys = keys or {}
        unknown = set(keys) - set(GRAIN_KEYS)
        if unknown:
            raise KeyError(f"{kpi_code}: {sorted(unknown)} are no keys of the long table of KPIs")
        value = None if numerator is None or numerator != numerator else float(numerator)
        for period in periods:
            self.rows.append(
                dict.fromkeys(GRAIN_KEYS)
                | dict(keys)
                | {
                    "as_of_date": self.as_of,
                    "period_code": period,
                    "kpi_code": kpi_code,
                    "grain_code": grain,
                    "detail_code": detail,
                    "numerator": value,
                    "denominator": float(denominator),
                }
            )

    def add_interval(
        self,
        kpi_code: str,
        interval: tuple[float, float, float],
        denominator: float = 1.0,
        *,
        grain: str = "total",
        periods: Sequence[str] = PERIODS,
        keys: Mapping[str, str | None] | None = None,
    ) -> None:
        """A figure with its 95 % interval: the value without detail, then the details ``low`` and ``high``."""
        for detail, number in zip((None, "low", "high"), interval, strict=True):
            self.add(kpi_code, number, denominator, grain=grain, detail=detail, periods=periods, keys=keys)

    def add_groups(
        self,
        kpi_code: str,
        frame: pd.DataFrame,
        numerator: str,
        denominator: str,
        grains: dict[str, Sequence[str]],
        *,
        periods: Sequence[str] = PERIODS,
    ) -> None:
        """Sums of two columns in every grain; ``grains`` names the key columns of each, none for the total."""
        for grain, columns in grains.items():
            if not columns:
                top, bottom = float(frame[numerator].sum()), float(frame[denominator].sum())
                self.add(kpi_code, top, bottom, grain=grain, periods=periods)
                continue
            summed = frame.groupby(list(columns), dropna=True, sort=True)[[numerator, denominator]].sum()
            for names, part, whole in zip(summed.index, summed[numerator], summed[denominator], strict=True):
                values = names if isinstance(names, tuple) else (names,)
                keys = {column: str(value) for column, value in zip(columns, values, strict=True)}
                self.add(kpi_code, float(part), float(whole), grain=grain, periods=periods, keys=keys)

    def off(self, kpi_code: str, reason_es: str, reason_en: str) -> None:
        """The KPI has no value on this date, and why."""
        self.reasons[kpi_code] = (reason_es, reason_en)

    def frame(self) -> pd.DataFrame:
        """All rows, in the columns of ``measured.kpi_values``."""
        return pd.DataFrame(self.rows, columns=list(COLUMNS))

    def status(self) -> pd.DataFrame:
        """The reasons, in the columns of ``measured.kpi_status``."""
        rows = [(self.as_of, code, es, en) for code, (es, en) in sorted(self.reasons.items())]
        return pd.DataFrame(rows, columns=list(STATUS_COLUMNS))
