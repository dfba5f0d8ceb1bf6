"""What Python measures on models and decisions, as rows of the long table of KPIs."""

from __future__ import annotations

from typing import Any

import pandas as pd

from pipelines.day import Day
from pipelines.steps.decided import decided_columns, store_decided


def measure_day(day: Day) -> dict[str, Any]:
    """Measure the date and store its rows in ``measured.kpi_values``; the rows of other dates stay."""
    day.require_built()
    values = pd.DataFrame(columns=list(decided_columns("measured.kpi_values")))
    return {"rows": store_decided(day.warehouse, "measured.kpi_values", values, day.as_of)}
