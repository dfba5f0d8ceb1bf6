"""Working days and public holidays of Ecuador."""

from __future__ import annotations

from datetime import date

import holidays

from models.lab.people import date_of


def public_holidays(first_year: int, last_year: int) -> dict[date, str]:
    """National holidays and their Spanish names, both years included, in date order."""
    found = holidays.country_holidays("EC", years=range(first_year, last_year + 1), language="es")
    return {day: str(found[day]) for day in sorted(found)}


def working_days(first_day: int, last_day: int) -> dict[int, bool]:
    """For every day number from ``first_day`` to a week after ``last_day``: is it Monday to Friday and no holiday."""
    free = public_holidays(date_of(first_day).year, date_of(last_day + 7).year)
    return {day: date_of(day).weekday() < 5 and date_of(day) not in free for day in range(first_day, last_day + 8)}
