"""How figures and dates are written in each language. Pure: value in, text out.

Spanish writes 1.234,5 and "30 de junio de 2026"; English 1,234.5 and "30 June 2026". Figures are rounded half up, as
people check them by hand. A missing value is an em dash, never 0.
"""

from __future__ import annotations

from datetime import date
from decimal import ROUND_HALF_UP, Decimal
from numbers import Real
from typing import Any, Literal

import pandas as pd

Language = Literal["es", "en"]
LANGUAGES: tuple[Language, ...] = ("es", "en")
MISSING = "—"
NO_BREAK = "\u00a0"

# Plotly's and pandas' way to say it: decimal sign, then thousands sign.
DECIMAL_SIGN: dict[str, str] = {"es": ",", "en": "."}
THOUSANDS_SIGN: dict[str, str] = {"es": ".", "en": ","}

_MONTHS: dict[str, tuple[str, ...]] = {
    "es": (
        "enero", "febrero", "marzo", "abril", "mayo", "junio",
        "julio", "agosto", "septiembre", "octubre", "noviembre", "diciembre",
    ),
    "en": (
        "January", "February", "March", "April", "May", "June",
        "July", "August", "September", "October", "November", "December",
    ),
}  # fmt: skip


def number(value: Any, language: Language, decimals: int = 0) -> str:
    """A figure with the language's signs.

    >>> number(1234567.885, "es", 2)
    '1.234.567,89'
    >>> number(-1234.5, "en")
    '-1,235'
    >>> number(None, "es")
    '—'
    """
    exact = _exact(value)
    if exact is None:
        return MISSING
    rounded = exact.quantize(Decimal(1).scaleb(-decimals), rounding=ROUND_HALF_UP)
    if rounded == 0:
        rounded = abs(rounded)  # "-0" says nothing
    swap = {",": THOUSANDS_SIGN[language], ".": DECIMAL_SIGN[language]}
    return "".join(swap.get(sign, sign) for sign in f"{rounded:,.{decimals}f}")


def signed(value: Any, language: Language, decimals: int = 0) -> str:
    """A change: always with its sign.

    >>> signed(12.34, "es", 1), signed(-0.01, "es", 1)
    ('+12,3', '0,0')
    """
    text = number(value, language, decimals)
    exact = _exact(value)
    return f"+{text}" if exact is not None and exact > 0 and any(sign in "123456789" for sign in text) else text


def money(value: Any, language: Language, currency: str, decimals: int = 0) -> str:
    """An amount with its currency code, so that nobody guesses which money it is.

    >>> money(1234.5, "es", "USD", 2).replace(NO_BREAK, " ")
    'USD 1.234,50'
    """
    text = number(value, language, decimals)
    return text if text == MISSING else f"{currency}{NO_BREAK}{text}"


def percent(rate: Any, language: Language, decimals: int = 1) -> str:
    """A rate in 0..1 as a percentage.

    >>> percent(0.0746, "es").replace(NO_BREAK, " "), percent(0.0746, "en")
    ('7,5 %', '7.5%')
    """
    exact = _exact(rate)
    if exact is None:
        return MISSING
    return number(exact * 100, language, decimals) + (f"{NO_BREAK}%" if language == "es" else "%")


def long_date(day: date, language: Language) -> str:
    """A day in words.

    >>> long_date(date(2026, 6, 30), "es"), long_date(date(2026, 6, 30), "en")
    ('30 de junio de 2026', '30 June 2026')
    """
    month = _MONTHS[language][day.month - 1]
    return f"{day.day} de {month} de {day.year}" if language == "es" else f"{day.day} {month} {day.year}"


def short_date(day: date, language: Language) -> str:
    """A day for an axis or a table.

    >>> short_date(date(2026, 6, 30), "es"), short_date(date(2026, 9, 30), "en")
    ('30 jun 2026', '30 Sep 2026')
    """
    return f"{day.day} {_MONTHS[language][day.month - 1][:3]} {day.year}"


def file_size(size: int, language: Language) -> str:
    """The size of a file as people say it.

    >>> file_size(512, "es"), file_size(34_816, "es"), file_size(2_621_440, "en")
    ('1 KB', '34 KB', '2.5 MB')
    """
    if size < 1024 * 1024:
        return f"{number(max(1, size / 1024), language)} KB"
    return f"{number(size / 1024 / 1024, language, 1)} MB"


def _exact(value: Any) -> Decimal | None:
    if value is None or value is pd.NA or value is pd.NaT:
        return None
    if isinstance(value, Decimal):
        return value if value.is_finite() else None
    if isinstance(value, Real) or hasattr(value, "item"):
        exact = Decimal(str(value))
        return exact if exact.is_finite() else None
    raise TypeError(f"{value!r} is not a number")
