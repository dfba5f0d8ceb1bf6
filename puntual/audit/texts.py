"""Words of the explanations, by language, and how their figures are written."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import yaml

from puntual.lists.texts import money as list_money
from puntual.lists.texts import word

_FILE = Path(__file__).with_name("texts.yaml")
MISSING = "—"


@cache
def _entries() -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load(_FILE.read_text(encoding="utf-8"))
    return content


def say(group: str, code: str, language: str, **values: object) -> str:
    """The sentence of a code with its ``{names}`` filled.

    Raises:
        KeyError: there is no such sentence: a defect of ours.
    """
    return str(_entries()[group][code][language]).format(**values)


def known(group: str, code: str) -> bool:
    """Whether the group has the code."""
    return code in _entries()[group]


def channel_name(code: str, language: str) -> str:
    """A channel as the lists call it."""
    return word("channels", code, language)


def amount(value: Any, currency: str, language: str) -> str:
    """Money, or a dash.

    >>> amount(None, "USD", "es"), amount(1234.5, "USD", "es")
    ('—', 'USD 1.234,50')
    """
    return MISSING if value is None or value != value else list_money(float(value), currency, language)


def figure(value: Any, language: str, decimals: int = 2) -> str:
    """A number with the language's signs, or a dash.

    >>> figure(-1234.5, "es"), figure(3, "en", 0)
    ('-1.234,50', '3')
    """
    if value is None or value != value:
        return MISSING
    text = f"{float(value):,.{decimals}f}"
    if float(text.replace(",", "")) == 0:
        text = text.lstrip("-")
    return text.translate(str.maketrans(",.", ".,")) if language == "es" else text


def percent(value: Any, language: str, decimals: int = 1) -> str:
    """A rate as a percentage, or a dash.

    >>> percent(0.0525, "es")
    '5,3 %'
    """
    if value is None or value != value:
        return MISSING
    return f"{figure(float(value) * 100 + 1e-9, language, decimals)}{' %' if language == 'es' else '%'}"
