"""What the catalogue says, what the semantic layer sums and what the models make are the same KPIs."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path
from typing import Any

import pytest

from puntual.errors import KpiError
from puntual.kpis.catalogue import CATALOGUE_FILE, Kpi, load_catalogue, load_metrics, model_codes
from puntual.kpis.generate import COUNTRIES, FAMILIES, YEARS, generated_files
from puntual.paths import DBT_PROJECT, PROJECT_ROOT, SEEDS
from puntual.settings import DEFAULT_CHANNELS
from tests.dbt.warehouses import run_dbt

CATALOGUE = {kpi.kpi_code: kpi for kpi in load_catalogue()}


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("parsed")
    environment = {"PUNTUAL_DBT_TARGET": "duckdb", "PUNTUAL_DUCKDB_PATH": str(folder / "none.duckdb")}
    run_dbt(["parse"], environment, folder)
    return json.loads((folder / "target" / "manifest.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("relative", sorted(generated_files()), ids=str)
def test_committed_file_is_the_generated_one(relative: Path) -> None:
    committed = (PROJECT_ROOT / relative).read_text(encoding="utf-8")
    assert committed == generated_files()[relative], f"{relative} is out of date; run: python -m puntual.kpis.generate"


def measured_codes() -> set[str]:
    """The codes that Python writes to measured.kpi_values, as its modules spell them."""
    files = [*(PROJECT_ROOT / "puntual" / "kpis").glob("analytic_*.py"), PROJECT_ROOT / "models" / "monitoring.py"]
    return {code for file in files for code in re.findall(r'"(K\d\d[A-Z0-9_]*)"', file.read_text(encoding="utf-8"))}


def test_every_code_that_is_on_is_made_and_nothing_else(manifest: dict[str, Any]) -> None:
    by_model = [code for codes in model_codes(manifest).values() for code in codes]
    made = [*load_metrics(manifest), *by_model, *measured_codes()]
    assert sorted(code for code in set(made) if made.count(code) > 1) == [], "made twice"
    on = {code for code, kpi in CATALOGUE.items() if kpi.status == "on"}
    assert {"in the catalogue, made by nothing": on - set(made), "made, not on in the catalogue": set(made) - on} == {
        "in the catalogue, made by nothing": set(),
        "made, not on in the catalogue": set(),
    }


def test_metric_has_the_name_of_its_code_and_the_parts_that_the_catalogue_names(manifest: dict[str, Any]) -> None:
    names = {
        metric["config"]["meta"]["kpi_code"]: metric["name"]
        for metric in manifest["metrics"].values()
        if (metric["config"].get("meta") or {}).get("kpi_code")
    }
    metrics = load_metrics(manifest)
    assert {code: names[code] for code in metrics} == {code: code.lower() for code in metrics}
    said = {code: (CATALOGUE[code].numerator, CATALOGUE[code].denominator) for code in metrics}
    assert said == {
        code: (metric.numerator.name, metric.denominator.name if metric.denominator else "1")
        for code, metric in metrics.items()
    }


def test_additivity_follows_from_the_parts(manifest: dict[str, Any]) -> None:
    for code, metric in load_metrics(manifest).items():
        expected = "non_additive"
        if metric.kind == "simple":
            expected = "semi_additive" if metric.numerator.is_stock else "additive"
        assert CATALOGUE[code].additivity == expected, code


def test_grains_are_those_that_the_parts_can_be_broken_down_by(manifest: dict[str, Any]) -> None:
    columns = {
        model["node_relation"]["alias"]: {dimension["name"] for dimension in model["dimensions"]}
        for model in manifest["semantic_models"].values()
    }
    needed = {"total": set(), "branch": {"branch_id"}, "province": {"branch_id"}, "product": {"product_code"},
              "segment": {"segment_code"}, "bucket": {"bucket_code"}, "collector": {"collector_id"},
              "agency": {"collector_id"}, "channel": {"channel_code"}, "campaign": {"campaign_id"},
              "branch_product": {"branch_id", "product_code"}}  # fmt: skip
    for code, metric in load_metrics(manifest).items():
        for measure in metric.measures:
            for grain in CATALOGUE[code].grains:
                own = columns[measure.table]
                missing = needed[grain] - own
                assert not missing or {grain} <= own, f"{code} by {grain}: {measure.table} has no {missing}"


def test_families_are_those_of_the_document() -> None:
    assert {kpi.family for kpi in CATALOGUE.values()} <= set(FAMILIES)


def test_parents_are_no_variants_themselves() -> None:
    assert [
        kpi.kpi_code for kpi in CATALOGUE.values() if kpi.parent_code and CATALOGUE[kpi.parent_code].parent_code
    ] == []


def test_texts_end_and_begin_as_sentences() -> None:
    wrong = [
        f"{kpi.kpi_code} {name}"
        for kpi in CATALOGUE.values()
        for name in ("description_es", "description_en", "off_reason_es", "off_reason_en")
        if (text := getattr(kpi, name)) and not (text.lstrip("(")[0].isupper() and text.endswith("."))
    ]
    assert wrong == []


def test_thresholds_say_that_they_are_starting_values() -> None:
    # A complete table and no violation at all are no matter of taste.
    unsaid = [
        kpi.kpi_code
        for kpi in CATALOGUE.values()
        if kpi.red is not None
        and ("valores iniciales" not in kpi.description_es or "starting" not in kpi.description_en)
    ]
    assert set(unsaid) <= {"K05_LINE", "K24_RATED", "K56"}


def row(**changes: Any) -> dict[str, Any]:
    with CATALOGUE_FILE.open(encoding="utf-8", newline="") as handle:
        first = next(line for line in csv.DictReader(handle) if line["kpi_code"] == "K05")
    return {**first, **changes}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"status": "off"}, "off without a reason"),
        ({"off_reason_es": "Falta.", "off_reason_en": "Missing."}, "has a reason to be off"),
        ({"direction": "none"}, "no direction"),
        ({"target": "0.5"}, "get worse in this order"),
        ({"grains": "total|planet"}, "grains"),
        ({"unit": "percent"}, "unit"),
    ],
    ids=["off without reason", "on with reason", "limits without direction", "limits out of order", "grain", "unit"],
)
def test_a_row_that_contradicts_itself_is_refused_with_its_number(tmp_path: Path, changes: dict, said: str) -> None:
    file = tmp_path / "kpi_catalog.csv"
    values = row(**changes)
    with file.open("w", encoding="utf-8", newline="") as handle:
        writer = csv.DictWriter(handle, list(values))
        writer.writeheader()
        writer.writerow(values)
    with pytest.raises(KpiError, match="row 2 \\(K05\\)") as refused:
        load_catalogue(file)
    assert said in str(refused.value)


def test_light_turns_at_the_threshold_itself() -> None:
    # K05: amber 0.0815, red 0.12, less is better.
    delinquency = CATALOGUE["K05"]
    assert [delinquency.light(value) for value in (0.08, 0.0815, 0.1199, 0.12, None)] == [
        "green", "amber", "amber", "red", None,
    ]  # fmt: skip
    # K21: amber 0.005, red 0.002, more is better.
    recovery: Kpi = CATALOGUE["K21"]
    assert [recovery.light(value) for value in (0.006, 0.005, 0.002)] == ["green", "amber", "red"]


# ------------------------------------------------------------------------------------------------- reference tables


def seed(name: str) -> list[dict[str, str]]:
    with (SEEDS / f"{name}.csv").open(encoding="utf-8", newline="") as handle:
        return list(csv.DictReader(handle))


def test_products_are_those_of_the_contract_and_their_lines_are_rated() -> None:
    from puntual.contracts.schema import load_contract

    products = {line["product_code"]: line["line_code"] for line in seed("products")}
    assert set(products) == set(load_contract()["loans"].column("product").values)
    rated = {line["line_code"] for line in seed("rating_tables") if line["table_code"] == "EC-P1"}
    assert set(products.values()) <= rated
    for reading in ("any_day", "over_60_days"):
        known = {line["line_code"] for line in seed("reclassification_days") if line["reading_code"] == reading}
        assert set(products.values()) <= known


def test_contact_costs_are_those_of_a_new_home() -> None:
    costs = {line["channel_code"]: float(line["contact_cost_amount"]) for line in seed("channel_costs")}
    assert {name: costs[name] for name in DEFAULT_CHANNELS} == {name: c.cost for name, c in DEFAULT_CHANNELS.items()}


def test_losses_are_known_for_every_collateral() -> None:
    from puntual.contracts.schema import load_contract

    assert {line["collateral_code"] for line in seed("loss_given_default")} == set(
        load_contract()["loans"].column("collateral").values
    )


def test_fees_cover_every_instalment_and_every_day_and_grow_with_both() -> None:
    fees = {(float(line["min_installment_amount"]), int(line["min_days"])): line for line in seed("collection_fees")}
    amounts, days = sorted({key[0] for key in fees}), sorted({key[1] for key in fees})
    assert amounts[0] == 0
    assert days == [1, 31, 61, 91]
    assert len(fees) == len(amounts) * len(days) == 24
    for place, amount in enumerate(amounts):
        upper = "" if place + 1 == len(amounts) else f"{amounts[place + 1]:g}"
        assert {fees[amount, day]["below_installment_amount"] for day in days} == {upper}
        row_of_fees = [float(fees[amount, day]["fee_amount"]) for day in days]
        assert row_of_fees == sorted(row_of_fees)
    for day in days:
        column = [float(fees[amount, day]["fee_amount"]) for amount in amounts]
        assert column == sorted(column)


@pytest.mark.parametrize("country", COUNTRIES)
def test_holidays_are_known_for_every_year(country: str) -> None:
    years = {int(line["date"][:4]) for line in seed("holidays") if line["country"] == country}
    assert years == set(YEARS)


def test_seed_files_are_described(manifest: dict[str, Any]) -> None:
    described = {
        node["name"]: set(node["columns"]) for node in manifest["nodes"].values() if node["resource_type"] == "seed"
    }
    for file in sorted((DBT_PROJECT / "seeds").glob("*.csv")):
        with file.open(encoding="utf-8", newline="") as handle:
            assert set(next(csv.reader(handle))) == described[file.stem], file.name
