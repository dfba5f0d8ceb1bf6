"""What is said of filled lists, in the language of whoever reads it."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import yaml

_FILE = Path(__file__).with_name("texts.yaml")


@cache
def texts() -> dict[str, dict[str, dict[str, str]]]:
    """Everything in ``texts.yaml``: group -> code -> language -> text."""
    content: dict[str, dict[str, dict[str, str]]] = yaml.safe_load(_FILE.read_text(encoding="utf-8"))
    return content


def say(group: str, code: str, language: str, **values: Any) -> str:
    """The text of ``code`` with its values in it; a code without a text is a defect and raises KeyError."""
    return texts()[group][code][language].format(**values)
