"""Who takes part, with the log in a real warehouse: a day that is decided again after its experiment was stopped."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from types import SimpleNamespace

import pandas as pd

from pipelines.steps.experimenting import TakingPart, store_taking_part, take_part
from puntual.warehouse import Warehouse
from tests.unit.experiments.test_assign import members
from tests.unit.experiments.test_registry import write


def test_the_day_of_a_stop_and_those_before_it_are_decided_again_as_they_were(tmp_path: Path) -> None:
    """Begun on 1 July with a window of 28 days; a third of the members owe from each day on; stopped on the 4th."""
    warehouse = Warehouse.open("duckdb:///w.duckdb", tmp_path)
    days = [date(2026, 7, number) for number in range(1, 5)]

    def run(day: date) -> TakingPart:
        features = members(30, is_eligible=[number < 10 * day.day for number in range(30)])
        with warehouse.connection():
            found = take_part(
                SimpleNamespace(as_of=day, warehouse=warehouse, home=SimpleNamespace(experiments=tmp_path)), features
            )
            store_taking_part(SimpleNamespace(as_of=day, warehouse=warehouse), found)
        return found

    def log() -> pd.DataFrame:
        return warehouse.read("select * from decisions.experiments order by as_of_date, experiment_id")

    write(tmp_path)
    first = [run(day).exposures for day in days[:3]]
    assert [len(one) for one in first] == [10, 20, 30]
    write(tmp_path, end=days[2])
    assert run(days[3]).exposures.empty
    said = log()
    for _ in range(2):
        for number in (2, 1, 0):
            pd.testing.assert_frame_equal(run(days[number]).exposures, first[number])
        pd.testing.assert_frame_equal(log(), said)
    assert run(days[3]).exposures.empty
