"""The long table is what the semantic layer says: MetricFlow's own engine gives its numbers, and a metric is enough for a KPI."""

from __future__ import annotations

import csv
import json
import shutil
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from puntual.kpis.catalogue import CATALOGUE_FILE, load_catalogue, load_metrics
from tests.dbt.kpi_books import KEYS, MetricFlow, Warehouse, build_duckdb, build_postgres, kpi_book
from tests.dbt.warehouses import PROJECT, create_database, duckdb_environment, run_dbt

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
    """Key to the name by which a parts table's metrics are grouped by it: an entity, or a dimension behind one.

    Entities have one name in every table, so that a ratio of two tables can be grouped; dimensions have one per table.
    """
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
        foreign = [entity for entity in model["entities"] if entity["type"] == "foreign"]
        names = {entity["expr"]: entity["name"] for entity in foreign}
        for entity in foreign:
            names |= {key: f"{entity['name']}__{key}" for key in KEYS if (entity["name"], key) in behind}
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


@pytest.mark.slow
def test_metricflow_says_the_same_on_duckdb(duckdb_kpis: Warehouse) -> None:
    found, compared = differences(duckdb_kpis)
    assert found == []
    assert compared > 10_000


@pytest.mark.slow
def test_metricflow_says_the_same_on_postgres(postgres_kpis: Warehouse) -> None:
    found, compared = differences(postgres_kpis)
    assert found == []
    assert compared > 10_000


@pytest.mark.long
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


# ------------------------------------------------------------------------------------------------ another KPI

NEW_METRIC = """

  - name: k99_new
    label: K99_NEW
    type: {kind}
    type_params: {parameters}
    config: {{meta: {{kpi_code: K99_NEW}}}}
"""


def project_with(folder: Path, metric: str, row: dict[str, str]) -> Path:
    """A copy of the project with one more metric and one more row in the catalogue; no SQL is touched."""
    project = folder / "project"
    shutil.copytree(PROJECT, project, ignore=shutil.ignore_patterns("target", "logs"))
    semantic = project / "models" / "kpis" / "_kpi_portfolio__semantic.yml"
    semantic.write_text(semantic.read_text(encoding="utf-8").rstrip() + metric, encoding="utf-8")
    catalogue = project / "seeds" / CATALOGUE_FILE.name
    with catalogue.open(encoding="utf-8", newline="") as handle:
        rows = list(csv.DictReader(handle))
    with catalogue.open("w", encoding="utf-8", newline="") as handle:
        writer = csv.DictWriter(handle, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows([*rows, {**next(line for line in rows if line["kpi_code"] == "K05"), **row}])
    return project


def rebuilt(warehouse: Warehouse, folder: Path, project: Path) -> Warehouse:
    """The catalogue and the long table of another project on a copy of the built warehouse."""
    import duckdb

    assert warehouse.file is not None
    file = folder / "warehouse.duckdb"
    shutil.copyfile(warehouse.file, file)
    selected = ["build", "--select", "kpi_catalog", "fct_kpi", "--indirect-selection", "cautious"]
    run_dbt(selected, duckdb_environment(file), folder, project)

    def query(sql: str) -> list[tuple[Any, ...]]:
        with duckdb.connect(str(file), read_only=True) as connection:
            return connection.execute(sql).fetchall()

    return Warehouse(query, folder / "target", "duckdb", file)


@pytest.mark.slow
def test_a_ratio_of_known_measures_needs_a_metric_and_a_row_only(duckdb_kpis: Warehouse, tmp_path: Path) -> None:
    metric = NEW_METRIC.format(kind="ratio", parameters="{numerator: overdue_amount, denominator: arrears_amount}")
    row = {"kpi_code": "K99_NEW", "grains": "total|branch", "kpi_rank": "9900", "denominator": "arrears_amount"}
    built = rebuilt(duckdb_kpis, tmp_path, project_with(tmp_path, metric, row))
    found = built.kpis(kpi_code="K99_NEW")
    assert {line["grain_code"] for line in found} == {"total", "branch"}
    known = {code: built.kpis(kpi_code=code, grain_code="total", period_code="day") for code in ("K02", "K09_AMOUNT")}
    for line in [line for line in found if line["grain_code"] == "total" and line["period_code"] == "day"]:
        (overdue,) = [other for other in known["K02"] if other["as_of_date"] == line["as_of_date"]]
        (arrears,) = [other for other in known["K09_AMOUNT"] if other["as_of_date"] == line["as_of_date"]]
        assert line["value"] == pytest.approx(overdue["value"] / arrears["value"])


@pytest.mark.slow
def test_a_ratio_of_two_families_lays_them_side_by_side(duckdb_kpis: Warehouse, tmp_path: Path) -> None:
    metric = NEW_METRIC.format(kind="ratio", parameters="{numerator: expected_loss_amount, denominator: gross_amount}")
    row = {"kpi_code": "K99_NEW", "kpi_rank": "9900", "numerator": "expected_loss_amount"}
    built = rebuilt(duckdb_kpis, tmp_path, project_with(tmp_path, metric, row))
    for code, part in (("K23", "numerator"), ("K01", "denominator")):
        sums = {
            tuple(line[name] for name in ("period_code", "as_of_date", "grain_code", *KEYS)): line["numerator"]
            for line in built.kpis(kpi_code=code)
        }
        lines = built.kpis(kpi_code="K99_NEW")
        assert lines
        for line in lines:
            key = tuple(line[name] for name in ("period_code", "as_of_date", "grain_code", *KEYS))
            # A day that was not scored has no expected loss, and nothing was lent means a zero denominator.
            assert line[part] == pytest.approx(sums.get(key, 0))


@pytest.mark.long
@pytest.mark.parametrize(
    ("kind", "parameters", "said"),
    [
        ("derived", "{expr: gross_amount * 2, metrics: [gross_amount]}", "neither a sum nor a ratio"),
        ("ratio", "{numerator: k05, denominator: gross_amount}", "not the plain sum of a measure"),
    ],
    ids=["derived", "ratio of a ratio"],
)
def test_what_is_more_than_a_ratio_is_refused_with_its_name(
    duckdb_kpis: Warehouse, tmp_path: Path, kind: str, parameters: str, said: str
) -> None:
    project = project_with(
        tmp_path, NEW_METRIC.format(kind=kind, parameters=parameters), {"kpi_code": "K99_NEW", "kpi_rank": "9900"}
    )
    with pytest.raises(AssertionError, match=said) as refused:
        rebuilt(duckdb_kpis, tmp_path, project)
    assert "k99_new" in str(refused.value)
