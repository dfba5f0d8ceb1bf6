"""Tables that Python writes keep their days when a column is described anew."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pandas as pd
import pytest

from pipelines.steps.decided import store_decided
from puntual.warehouse import Warehouse


def test_a_new_column_is_empty_for_the_days_before(tmp_path: Path) -> None:
    warehouse = Warehouse.open("duckdb:///w.duckdb", tmp_path)
    older = pd.DataFrame({"as_of_date": [date(2026, 6, 29)]})
    warehouse.replace_slice("decisions.summaries", older, as_of_date=date(2026, 6, 29), types={"as_of_date": "date"})
    today = pd.DataFrame({"as_of_date": [date(2026, 6, 30)], "summary": ["{}"]})
    for _ in range(2):
        store_decided(warehouse, "decisions.summaries", today, date(2026, 6, 30))
    rows = warehouse.read_table("decisions.summaries", order_by=["as_of_date"])
    assert rows["summary"].isna().tolist() == [True, False] and rows["summary"].iloc[1] == "{}"
    with pytest.raises(KeyError, match="described are"):
        store_decided(warehouse, "decisions.summaries", today.assign(more=1), date(2026, 6, 30))
