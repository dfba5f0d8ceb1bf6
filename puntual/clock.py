"""The only place that reads the clock, and the calendar arithmetic that everything else shares.

Below the command line time is an argument (``as_of``): a figure of a past day must not change overnight.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo


def now_utc() -> datetime:
    """The present moment in UTC, without zone, whole seconds: the form in which the warehouse stores it."""
    return datetime.now(tz=UTC).replace(tzinfo=None, microsecond=0)


def today(timezone: str) -> date:
    """The calendar day that it is now in ``timezone``."""
    return datetime.now(tz=ZoneInfo(timezone)).date()


def last_day_of_month(day: date) -> date:
    """The last day of the month of ``day``.

    >>> last_day_of_month(date(2028, 2, 10))
    datetime.date(2028, 2, 29)
    """
    first_of_next = (day.replace(day=1) + timedelta(days=32)).replace(day=1)
    return first_of_next - timedelta(days=1)


def month_ends(first: date, last: date) -> list[date]:
    """Month ends from ``first`` to ``last``, both included, in order.

    >>> month_ends(date(2026, 1, 31), date(2026, 3, 30))
    [datetime.date(2026, 1, 31), datetime.date(2026, 2, 28)]
    """
    ends = []
    day = last_day_of_month(first)
    while day <= last:
        ends.append(day)
        day = last_day_of_month(day + timedelta(days=1))
    return ends
