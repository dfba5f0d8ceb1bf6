"""Every sentence of the screens, by key, in the reader's language."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from dashboards.formats import Language

FOLDER = Path(__file__).resolve().parent / "texts"


@dataclass(frozen=True)
class Texts:
    """The texts of one language.

    Attributes:
        language: es or en; also says how figures and dates are written.
        entries: text by dotted key.
    """

    language: Language
    entries: Mapping[str, str]

    def __call__(self, key: str, **values: object) -> str:
        """The text of ``key`` with its ``{names}`` filled.

        Raises:
            KeyError: no such key, or a name without a value: a defect of the page, not of the data.
        """
        return self.entries[key].format(**values)

    def label(self, group: str, code: str) -> str:
        """The text of a code, or the code itself: an institution may bring codes that nobody translated."""
        return self.entries.get(f"{group}.{code}", code)


@cache
def load_texts(language: Language) -> Texts:
    """The texts of ``language``, read once."""
    return Texts(language, flatten(yaml.safe_load((FOLDER / f"{language}.yaml").read_text(encoding="utf-8"))))


def flatten(tree: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Nested keys as dotted ones.

    >>> flatten({"kpi": {"par30": "PAR30"}, "ok": "Yes"})
    {'kpi.par30': 'PAR30', 'ok': 'Yes'}
    """
    entries: dict[str, str] = {}
    for key, value in tree.items():
        if isinstance(value, Mapping):
            entries |= flatten(value, f"{prefix}{key}.")
        else:
            entries[f"{prefix}{key}"] = str(value)
    return entries
