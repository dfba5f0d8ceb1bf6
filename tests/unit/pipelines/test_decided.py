"""Tables that Python writes keep their days when a column is described anew."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pandas as pd
import pytest

from pipelines.steps.decided import decided_columns, ensure_decided, store_decided
from pipelines.steps.deciding import _is_ahead
from puntual.warehouse import Warehouse


def test_a_new_column_is_empty_for_the_days_before(tmp_path: Path) -> None:
    warehouse = Warehouse.open("duckdb:///w.duckdb", tmp_path)
    older = pd.DataFrame({"as_of_date": [date(2026, 6, 29)]})
    warehouse.replace_slice("decisions.summaries", older, as_of_date=date(2026, 6, 29), types={"as_of_date": "date"})
    today = pd.DataFrame({"as_of_date": [date(2026, 6, 30)], "summary": ["{}"], "is_ahead": [True]})
    for _ in range(2):
        store_decided(warehouse, "decisions.summaries", today, date(2026, 6, 30))
    rows = warehouse.read_table("decisions.summaries", order_by=["as_of_date"])
    assert rows["summary"].isna().tolist() == [True, False] and rows["summary"].iloc[1] == "{}"
    with pytest.raises(KeyError, match="described are"):
        store_decided(warehouse, "decisions.summaries", today.assign(more=1), date(2026, 6, 30))


def test_a_table_that_is_read_first_is_there_and_keeps_what_it_has(tmp_path: Path) -> None:
    warehouse = Warehouse.open("duckdb:///w.duckdb", tmp_path)
    for _ in range(2):
        ensure_decided(warehouse, "decisions.summaries")
        rows = warehouse.read_table("decisions.summaries")
        assert list(rows.columns) == list(decided_columns("decisions.summaries"))
        store_decided(
            warehouse,
            "decisions.summaries",
            pd.DataFrame({"as_of_date": [date(2026, 6, 30)], "summary": ["{}"], "is_ahead": [True]}),
            date(2026, 6, 30),
        )
    assert len(rows) == 1


@pytest.mark.parametrize(
    ("direction", "occurred_at", "is_ahead"),
    [
        ("outbound", "2026-06-30 04:59", True),  # 23:59 of the 29th in Guayaquil
        ("outbound", "2026-06-30 05:00", False),  # midnight: the day has begun
        ("outbound", "2026-07-04 15:00", False),
        ("inbound", "2026-06-30 15:00", True),
    ],
)
def test_a_day_is_decided_ahead_while_no_attempt_of_it_is_known(
    tmp_path: Path, direction: str, occurred_at: str, is_ahead: bool
) -> None:
    warehouse = Warehouse.open("duckdb:///w.duckdb", tmp_path)
    warehouse.replace_table(
        "raw.interactions", pd.DataFrame({"direction": [direction], "occurred_at": [pd.Timestamp(occurred_at)]})
    )
    institution = SimpleNamespace(timezone="America/Guayaquil")
    day = SimpleNamespace(
        as_of=date(2026, 6, 30), warehouse=warehouse, settings=SimpleNamespace(institution=institution)
    )
    assert _is_ahead(cast(Any, day)) is is_ahead
