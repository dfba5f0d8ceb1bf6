"""``from models import DefaultRisk`` without making every other import of the package pay for scikit-learn."""

from __future__ import annotations

from importlib import import_module
from typing import Any

FACADES = {
    "DefaultRisk": "models.frames.default_risk",
    "ContactEffect": "models.frames.contact_effect",
}
"""Estimators for notebooks, by the module that holds them; a new one is one line here and one in the house checks."""


def __getattr__(name: str) -> Any:
    """The facade with this name, imported when it is first asked for (PEP 562)."""
    if name in FACADES:
        return getattr(import_module(FACADES[name]), name)
    raise AttributeError(f"module 'models' has no attribute {name!r}")
