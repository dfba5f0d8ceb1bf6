"""What tables and columns are called on screens, in Spanish and English."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

_FILE = Path(__file__).with_name("captions.yaml")


@dataclass(frozen=True)
class Caption:
    """A name in both languages; ``about_es`` describes a table or a sum in Spanish (their own files do in English)."""

    es: str
    en: str
    about_es: str = ""


@cache
def _captions() -> dict[str, dict[str, Any]]:
    return yaml.safe_load(_FILE.read_text(encoding="utf-8"))


def table_caption(table: str) -> Caption:
    """The caption of a table; its own name when nobody gave one (a test finds it)."""
    entry = _captions()["tables"].get(table)
    return Caption(**entry) if entry else Caption(table, table)


def sum_caption(name: str) -> Caption:
    """The caption of a sum of a table of parts; its own name when nobody gave one (a test finds it)."""
    entry = _captions()["sums"].get(name)
    return Caption(**entry) if entry else Caption(name, name)


def column_caption(column: str) -> Caption:
    """The caption of a column; its own name when nobody gave one (a test finds it)."""
    entry = _captions()["columns"].get(column)
    return Caption(**entry) if entry else Caption(column, column)
