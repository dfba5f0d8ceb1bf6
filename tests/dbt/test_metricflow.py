"""MetricFlow's engine, asked for every KPI of the semantic layer at every grain, says what the long table says."""

from __future__ import annotations

import json
from datetime import date, timedelta
from typing import Any

import pytest

from puntual.kpis.catalogue import load_catalogue, load_metrics
from tests.dbt.kpi_books import KEYS, MetricFlow, Warehouse, build_duckdb, build_postgres, kpi_book
from tests.dbt.warehouses import create_database

COLUMNS = {
    "total": [], "branch": ["branch_id"], "product": ["product_code"], "segment": ["segment_code"],
    "bucket": ["bucket_code"], "collector": ["collector_id"], "agency": ["agency"], "channel": ["channel_code"],
    "campaign": ["campaign_id"], "province": ["province"], "branch_product": ["branch_id", "product_code"],
}  # fmt: skip


@pytest.fixture(scope="module")
def duckdb_kpis(tmp_path_factory: pytest.TempPathFactory) -> Warehouse:
    return build_duckdb(kpi_book(), tmp_path_factory.mktemp("kpis"))


@pytest.fixture(scope="module")
def postgres_kpis(tmp_path_factory: pytest.TempPathFactory, postgres_url: str) -> Warehouse:
    return build_postgres(kpi_book(), create_database(postgres_url, "kpi_book"), tmp_path_factory.mktemp("kpis_pg"))


def names_in_metricflow(manifest: dict[str, Any]) -> dict[str, dict[str, str]]:
    """Key to the name by which a parts table's metrics are grouped by it: its own dimension, or one behind an entity."""
    models = list(manifest["semantic_models"].values())
    behind = {
        (entity["name"], dimension["name"])
        for model in models
        for entity in model["entities"]
        if entity["type"] == "primary"
        for dimension in model["dimensions"]
    }
    found = {}
    for model in models:
        primary = model.get("primary_entity")
        own = {dimension["name"] for dimension in model["dimensions"]}
        names = {key: f"{primary}__{key}" for key in KEYS if key in own}
        for entity in model["entities"]:
            if entity["type"] == "foreign":
                for key in KEYS:
                    if (entity["name"], key) in behind:
                        names.setdefault(key, f"{entity['name']}__{key}")
        found[model["node_relation"]["alias"]] = names
    return found


def period_start(period: str, day: date) -> date:
    return {"day": day, "week": day - timedelta(days=day.weekday()), "month": day.replace(day=1)}[period]


def differences(warehouse: Warehouse) -> tuple[list[str], int]:
    """Where the two disagree, and how many values were compared."""
    manifest = json.loads((warehouse.target / "manifest.json").read_text(encoding="utf-8"))
    engine, names = MetricFlow(warehouse), names_in_metricflow(manifest)
    catalogue = {kpi.kpi_code: kpi for kpi in load_catalogue()}
    metrics = {code: metric for code, metric in load_metrics(manifest).items() if catalogue[code].status == "on"}
    # Metrics of the same tables are asked for together.
    groups: dict[tuple[str, ...], list[str]] = {}
    for code, metric in metrics.items():
        groups.setdefault(tuple(sorted({measure.table for measure in metric.measures})), []).append(code)
    rows = [row for row in warehouse.kpis() if row["kpi_code"] in metrics]
    found, compared = [], 0
    for tables, codes in groups.items():
        for grain, columns in COLUMNS.items():
            if not all(column in names[table] for table in tables for column in columns):
                continue
            asked_codes = [code for code in codes if grain in catalogue[code].grains]
            if not asked_codes:
                continue
            by_name = [names[tables[0]][column] for column in columns]
            for period in ("day", "week", "month"):
                theirs = engine.values([code.lower() for code in asked_codes], [f"metric_time__{period}", *by_name])
                theirs = {(as_date(key[0]), *key[1:]): value for key, value in theirs.items()}
                for row in rows:
                    if row["grain_code"] != grain or row["period_code"] != period or row["kpi_code"] not in asked_codes:
                        continue
                    key = (period_start(period, row["as_of_date"]), *(row[column] for column in columns))
                    value = theirs.get(key, {}).get(row["kpi_code"].lower())
                    compared += 1
                    if not same(row, value):
                        found.append(
                            f"{row['kpi_code']} by {grain} {key} ({period}): {row['value']}, MetricFlow {value}"
                        )
    return found, compared


def as_date(value: Any) -> date:
    return value.date() if hasattr(value, "date") else value


def same(row: dict[str, Any], value: Any) -> bool:
    """A part that has no row at all is 0 for us and NULL for MetricFlow."""
    if value is None:
        return row["value"] is None or (row["value"] == 0 and row["numerator"] == 0)
    return row["value"] is not None and abs(row["value"] - float(value)) <= 1e-9 * max(1.0, abs(float(value)))


def test_metricflow_says_the_same_on_duckdb(duckdb_kpis: Warehouse) -> None:
    found, compared = differences(duckdb_kpis)
    assert found == []
    assert compared > 10_000


def test_metricflow_says_the_same_on_postgres(postgres_kpis: Warehouse) -> None:
    found, compared = differences(postgres_kpis)
    assert found == []
    assert compared > 10_000


def test_long_table_is_the_same_on_both(duckdb_kpis: Warehouse, postgres_kpis: Warehouse) -> None:
    def keyed(warehouse: Warehouse) -> dict[tuple[Any, ...], tuple[Any, ...]]:
        rows = warehouse.kpis()
        found = {tuple(list(row.values())[:-3]): tuple(list(row.values())[-3:]) for row in rows}
        assert len(found) == len(rows), "the key of fct_kpi is not unique"
        return found

    left, right = keyed(duckdb_kpis), keyed(postgres_kpis)
    assert left.keys() == right.keys()
    for key, parts in left.items():
        for one, other in zip(parts, right[key], strict=True):
            assert one == other or abs(one - other) <= 1e-9 * max(abs(one), abs(other)), (key, parts, right[key])
