"""The code location that the Dagster UI loads: the institution named by ``PUNTUAL_HOME``."""

from __future__ import annotations

from pipelines.graph import build_defs
from puntual.settings import home_from_environment

defs = build_defs(home_from_environment())
