"""The whole day on both engines with ``warehouse.url`` alone changed: the same tables and the same decisions, twice."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from puntual.paths import Home
from puntual.settings import load_settings
from puntual.snapshot import Snapshot
from puntual.warehouse import Warehouse
from puntual.warehouse.catalog import described_tables
from tests.dbt.warehouses import COMPARED, create_database

AS_OF = date(2026, 6, 30)
MEMBERS = 2_000

# Kept for every day; the run's own identifiers and hours are not compared.
DAILY = ("decisions.decisions", "decisions.details", "decisions.prices", "ml.default_risk_scores", "ml.channel_scores",
         "measured.kpi_values")  # fmt: skip

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]


@pytest.fixture(scope="module")
def homes(tmp_path_factory, postgres_url) -> Iterator[dict[str, Path]]:
    """The same landing files in two homes, each run on two consecutive days; the second one is an increment."""
    from pipelines.run import run_day
    from puntual.homes import create_demo

    folder = tmp_path_factory.mktemp("engines")
    homes = {"duckdb": folder / "duckdb", "postgres": folder / "postgres"}
    create_demo(homes["duckdb"], members=MEMBERS, seed=5, as_of=AS_OF)
    text = (homes["duckdb"] / "puntual.yaml").read_text(encoding="utf-8")
    shutil.copytree(homes["duckdb"], homes["postgres"])
    file = homes["postgres"] / "puntual.yaml"
    changed = text.replace("duckdb:///warehouse/puntual.duckdb", create_database(postgres_url, "engines_on_demo"))
    assert changed != text
    file.write_text(changed, encoding="utf-8")
    for home in homes.values():
        run_day(Home(home), AS_OF)
        put_to_use(home)
        run_day(Home(home), AS_OF + timedelta(days=1))
    yield homes


def put_to_use(home: Path) -> None:
    """The channel model by hand: a book this small proves nothing, and its effect is to be compared at work."""
    from pipelines.day import Day
    from pipelines.steps.champions import CHANNEL_MODEL

    registry = Day.of(home, AS_OF, "test").registry
    version = registry.list(CHANNEL_MODEL)[-1]["version"]
    registry.promote(CHANNEL_MODEL, version, reason="compared at work", decided_on=AS_OF)


def warehouse_of(home: Path) -> Warehouse:
    return Warehouse.open(load_settings(Home(home)).warehouse.url, home)


def tables_of(home: Path) -> dict[str, list[str]]:
    """The compared tables that were built, with their keys."""
    (file,) = (home / ".dbt").glob("manifest-*.json")
    specs = described_tables(json.loads(file.read_text(encoding="utf-8")), COMPARED)
    warehouse = warehouse_of(home)
    built = warehouse.read("select table_schema, table_name from information_schema.tables")
    there = set(built["table_schema"] + "." + built["table_name"])
    return {name: list(spec.key) for name, spec in specs.items() if name in there}


def rows_of(warehouse: Warehouse, table: str) -> pd.DataFrame:
    frame = warehouse.read(f"select * from {table}")
    return frame.drop(columns=[name for name in ("run_id", "scored_at", "decided_at") if name in frame])


def ordered(frame: pd.DataFrame, key: list[str]) -> pd.DataFrame:
    by = key or [name for name in frame.columns if frame[name].dtype != "float64"]
    keys = frame[by].astype(object).where(frame[by].notna(), "").astype(str)
    return frame.loc[keys.sort_values(by).index].reset_index(drop=True)


def difference(left: pd.DataFrame, right: pd.DataFrame, key: list[str]) -> str | None:
    if sorted(left.columns) != sorted(right.columns):
        return f"columns {sorted(set(left.columns) ^ set(right.columns))}"
    if len(left) != len(right):
        return f"{len(left)} and {len(right)} rows"
    left, right = ordered(left, key), ordered(right[left.columns], key)
    try:
        pd.testing.assert_frame_equal(left, right, check_dtype=False, rtol=1e-9, atol=1e-12)
    except AssertionError as error:
        return " ".join(str(error).split())[:300]
    return None


def test_every_table_of_the_project_is_the_same(homes: dict[str, Path]) -> None:
    left, right = (warehouse_of(home) for home in homes.values())
    tables = tables_of(homes["duckdb"])
    assert tables.keys() == tables_of(homes["postgres"]).keys()
    assert len(tables) > 50
    found: dict[str, Any] = {}
    for table, key in tables.items():
        found[table] = difference(rows_of(left, table), rows_of(right, table), key)
    assert {table: what for table, what in found.items() if what} == {}


@pytest.mark.parametrize("table", DAILY)
def test_scores_decisions_and_measures_are_the_same_on_both_days(homes: dict[str, Path], table: str) -> None:
    left, right = (rows_of(warehouse_of(home), table) for home in homes.values())
    assert left["as_of_date"].max() == pd.Timestamp(AS_OF + timedelta(days=1))
    assert left["as_of_date"].nunique() == (1 if table == "ml.channel_scores" else 2)
    assert difference(left, right, []) is None


def test_the_payment_climate_is_the_same(homes: dict[str, Path]) -> None:
    left, right = (rows_of(warehouse_of(home), "ml.payment_climate") for home in homes.values())
    assert left["week_end_date"].nunique() > 100
    assert difference(left, right, ["model_version", "week_end_date"]) is None


def test_both_published_the_same_day_and_choices(homes: dict[str, Path]) -> None:
    left, right = (Snapshot.current(home) for home in homes.values())
    assert left.as_of_date == right.as_of_date == AS_OF + timedelta(days=1)
    assert left.manifest["row_counts"] == right.manifest["row_counts"]
    for name in ("decisions.parquet", "worklists/screen.parquet"):
        one, other = (pd.read_parquet(snapshot.folder / name) for snapshot in (left, right))
        assert difference(one, other, []) is None
