"""Words of the lists by language, and figures written as the language writes them."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from puntual.errors import RuleError

LANGUAGES = ("es", "en")
_FILE = Path(__file__).with_name("texts.yaml")


@cache
def texts() -> dict[str, Any]:
    """Everything in ``texts.yaml``."""
    content: dict[str, Any] = yaml.safe_load(_FILE.read_text(encoding="utf-8"))
    return content


def word(group: str, code: object, language: str) -> str:
    """The word of ``code``; a code that has none is shown as it is."""
    entry = texts()[group].get(code)
    return str(entry[language]) if entry else str(code)


def load_reason_texts(policies_dir: Path) -> dict[str, dict[str, str]]:
    """Sentences of the decision's own reason codes: code -> language -> sentence.

    Raises:
        RuleError: ``reasons.yaml`` is absent or lacks a language; names the code.
    """
    file = policies_dir / "reasons.yaml"
    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        raise RuleError(f"{file} cannot be read: {error}") from error
    for code, sentences in content.items():
        if not isinstance(sentences, dict) or set(sentences) != set(LANGUAGES):
            raise RuleError(f"{file}: {code} needs a sentence in each of {', '.join(LANGUAGES)} and nothing else.")
    return content


def reason_sentences(codes: list[str], reason_texts: Mapping[str, Mapping[str, str]], language: str) -> str:
    """The sentences of reason codes, one after the other.

    Raises:
        RuleError: a code has no sentence: a person would be shown a code instead of a reason.
    """
    missing = [code for code in codes if code not in reason_texts]
    if missing:
        raise RuleError(f"The reason codes {missing} have no sentence; add them to data/policies/reasons.yaml.")
    return " ".join(reason_texts[code][language] for code in codes)


def days_in_words(days: int, language: str) -> str:
    """A number of days with its noun.

    >>> days_in_words(1, "es"), days_in_words(2, "es")
    ('1 día', '2 días')
    """
    return f"{days} {word('words', 'day' if days == 1 else 'days', language)}"


def money(amount: float, currency: str, language: str) -> str:
    """An amount with its currency in the language's way of writing.

    >>> money(1234.5, "USD", "es"), money(1234.5, "USD", "en")
    ('USD 1.234,50', 'USD 1,234.50')
    """
    figure = f"{amount:,.2f}"
    if language == "es":
        figure = figure.translate(str.maketrans(",.", ".,"))
    return f"{currency} {figure}"
