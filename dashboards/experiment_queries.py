"""What the pages ask of the published measures of experiments."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from dashboards.queries import cached, select
from puntual.snapshot import Snapshot

_TABLE = "rpt_experiments"


@cached
def experiments(folder: str) -> pd.DataFrame:
    """``experiment_id``, ``title_es``, ``title_en`` of every measured experiment, the newest first; maybe none.

    A day that an older version published has no such table.
    """
    if _TABLE not in Snapshot.at(Path(folder)).manifest.get("row_counts", {}):
        return pd.DataFrame(columns=["experiment_id", "title_es", "title_en"])
    sql = f"""
        select experiment_id, max(title_es) as title_es, max(title_en) as title_en from {_TABLE}
        group by experiment_id order by max(start_date) desc, experiment_id
    """
    return select(folder, sql, [_TABLE])


@cached
def measures(folder: str, experiment_id: str) -> pd.DataFrame:
    """Every row of an experiment: by day, then arm, the control last."""
    sql = f"select * from {_TABLE} where experiment_id = $one order by measured_date, is_control, arm_code"
    return select(folder, sql, [_TABLE], {"one": experiment_id})
