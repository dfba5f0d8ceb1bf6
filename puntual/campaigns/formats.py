"""Amounts and dates as a country writes them: Unicode's own tables (Babel), never a list of ours."""

from __future__ import annotations

from datetime import date
from functools import cache, lru_cache

from babel import Locale, UnknownLocaleError
from babel.dates import format_date
from babel.numbers import NumberPattern, get_currency_precision, parse_pattern

_SPACES = str.maketrans({"\u00a0": " ", "\u202f": " "})


@cache
def locale_of(language: str, country: str) -> Locale:
    """The language as the country writes it; the plain language where Unicode does not know the pair (en_EC)."""
    try:
        return Locale.parse(f"{language}_{country}")
    except (UnknownLocaleError, ValueError):
        return Locale.parse(language)


@lru_cache(maxsize=8192)
def amount_text(amount: float, currency: str, language: str, country: str) -> str:
    """An amount behind its currency code, with the country's signs and the currency's decimals, half to even.

    >>> amount_text(1234.5, "USD", "es", "EC"), amount_text(1234.5, "MXN", "es", "MX")
    ('USD 1.234,50', 'MXN 1,234.50')
    >>> amount_text(1234.5, "CLP", "es", "CL")
    'CLP 1.234'
    """
    figure = _pattern_of(currency).apply(amount, locale_of(language, country))
    return f"{currency} {figure}".translate(_SPACES)


@cache
def _pattern_of(currency: str) -> NumberPattern:
    decimals = "0" * get_currency_precision(currency)
    return parse_pattern(f"#,##0.{decimals}" if decimals else "#,##0")


@lru_cache(maxsize=4096)
def date_text(day: date, language: str, country: str) -> str:
    """A day in the country's medium form.

    >>> date_text(date(2026, 6, 30), "es", "EC"), date_text(date(2026, 6, 30), "es", "CO")
    ('30 jun 2026', '30/06/2026')
    """
    return format_date(day, "medium", locale=locale_of(language, country)).translate(_SPACES)
