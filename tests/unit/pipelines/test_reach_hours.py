"""Reach is counted on the clock by which the lists look it up: the member's own."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pandas as pd

from models.hours.reach import reach_by_hour
from pipelines.steps.outlook import attempts_by_hour
from puntual.lists.hours import suggested_hours
from puntual.warehouse import Warehouse

AS_OF, QUITO, GALAPAGOS = date(2026, 6, 30), "America/Guayaquil", "Pacific/Galapagos"


def warehouse_of(folder: Path, members: dict[str, tuple[str | None, str]], hours: list[int]) -> Warehouse:
    """Calls of members (zone, occupation), forty at each UTC hour on Tuesdays; at the last of the hours all are reached."""
    warehouse = Warehouse.open("duckdb:///w.duckdb", folder)
    people = [{"customer_id": m, "timezone": zone, "occupation": work} for m, (zone, work) in members.items()]
    calls = [
        {
            "customer_id": member,
            "channel_code": "call",
            "occurred_at": pd.Timestamp("2026-06-23") + pd.Timedelta(hours=hour),
            "occurred_date": date(2026, 6, 23),
            "occurred_hour": hour,
            "is_attempt": True,
            "is_contact": hour == hours[-1],
        }
        for member in members
        for hour in hours
        for _ in range(40)
    ]
    with warehouse.connection() as connection:
        connection.execute("create schema marts")
        for table, rows in (("dim_customers", people), ("fct_interactions", calls)):
            frame = pd.DataFrame(rows)  # noqa: F841 - read by name
            connection.execute(f"create table marts.{table} as select * from frame")
        connection.execute("alter table marts.dim_customers alter column timezone type varchar")
        connection.execute("alter table marts.fct_interactions alter column occurred_date type date")
    return warehouse


def test_each_member_is_counted_at_the_own_hour(tmp_path: Path) -> None:
    members = {"A": (QUITO, "x"), "B": (GALAPAGOS, "y"), "C": (None, "z")}
    found = attempts_by_hour(warehouse_of(tmp_path, members, [15]), AS_OF, 365, QUITO)
    # 15:00 UTC is 10:00 in Quito, 09:00 in Galápagos; a member without a zone is taken to be where the institution is.
    assert dict(zip(found["segment"], found["hour"], strict=True)) == {"x": 10, "y": 9, "z": 10}
    assert found["weekday"].tolist() == [2, 2, 2]
    assert found["attempt_count"].tolist() == found["contact_count"].tolist() == [40, 40, 40]


def test_the_weekday_is_the_members_too(tmp_path: Path) -> None:
    found = attempts_by_hour(warehouse_of(tmp_path, {"A": (GALAPAGOS, "y")}, [5]), AS_OF, 365, QUITO)
    assert (found["weekday"].iloc[0], found["hour"].iloc[0]) == (1, 23)


def test_an_islander_is_suggested_the_hour_at_which_islanders_answer(tmp_path: Path) -> None:
    # Reached at 17:00 UTC, which is 11:00 on the islands: counted at noon, 12:00 would be suggested, an hour too late.
    counts = attempts_by_hour(warehouse_of(tmp_path, {"B": (GALAPAGOS, "fisher")}, [15, 16, 18, 17]), AS_OF, 365, QUITO)
    reach = reach_by_hour(counts).assign(is_enough=True)
    row = {
        "channel_code": "call",
        "occupation": "fisher",
        "window_start": pd.Timestamp("2026-06-30 14:00"),
        "window_end": pd.Timestamp("2026-06-30 23:00"),
    }
    assert suggested_hours(pd.DataFrame([row]), reach, pd.Series([GALAPAGOS])).tolist() == ["11:00"]
