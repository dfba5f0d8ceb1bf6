"""What can be exported, as data: ``offers.yml`` says from which tables, ``headings.yml`` what columns are called."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, Literal

import yaml

from puntual.errors import UsageError
from puntual.strict import Strict

Language = Literal["es", "en"]
LANGUAGES: tuple[Language, ...] = ("es", "en")
_FOLDER = Path(__file__).resolve().parent


class Offer(Strict):
    """One thing that can be exported.

    Attributes:
        what: its name on the command line.
        title: short name for people, by language; names the sheet of a workbook.
        description: what its rows are, by language; ends with the grain.
        tables: published tables that it reads.
        sql: its query on them, with ``{as_of}`` for the snapshot's date; all of the first table when left out.
        order: columns that order its rows, so that equal exports are equal files; the published order when empty.
        hidden: columns that come only when they are asked for.
        has_names: it names members or collectors; files of it must be kept like work lists.
    """

    what: str
    title: dict[Language, str]
    description: dict[Language, str]
    tables: tuple[str, ...]
    sql: str | None = None
    order: tuple[str, ...] = ()
    hidden: tuple[str, ...] = ()
    has_names: bool = False

    def shows(self, column: str) -> bool:
        """Whether a column comes without being asked for: keys that only join tables do not."""
        return column not in self.hidden and not column.endswith("_key")


@cache
def offers() -> Mapping[str, Offer]:
    """Every offer by its name, in the order in which they are listed."""
    entries: dict[str, Any] = yaml.safe_load((_FOLDER / "offers.yml").read_text(encoding="utf-8"))
    return {what: Offer(what=what, **entry) for what, entry in entries.items()}


def offer(what: str) -> Offer:
    """The offer called ``what``.

    Raises:
        UsageError: there is none; says which there are.
    """
    if what not in offers():
        raise UsageError(
            f"--what {what} is not offered. Choose one of: {', '.join(offers())} (or list, to read of each)"
        )
    return offers()[what]


@cache
def _headings() -> Mapping[str, Mapping[Language, str]]:
    entries: dict[str, list[str]] = yaml.safe_load((_FOLDER / "headings.yml").read_text(encoding="utf-8"))
    return {name: dict(zip(LANGUAGES, both, strict=True)) for name, both in entries.items()}


def has_heading(column: str) -> bool:
    """Whether somebody wrote what ``column`` is called."""
    return column in _headings()


def heading(column: str, language: Language) -> str:
    """What a column is called in a language; its own name in words where nobody said.

    >>> heading("past_due_days", "es"), heading("odd_new_count", "es")
    ('Días de mora', 'Odd new count')
    """
    entry = _headings().get(column)
    return entry[language] if entry else column.replace("_", " ").capitalize()
