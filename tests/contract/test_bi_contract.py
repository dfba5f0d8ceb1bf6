"""The star keeps its promise to reports that others built; what is generated for it is what is committed."""

from __future__ import annotations

import copy
import json

import pytest

from models.protected import protected
from pipelines.bi_contract import CHANGELOG, CONTRACT_FILE, broken_promises, contract_of, objections
from pipelines.steps.publishing import SCHEMA_VERSION
from puntual.powerbi.diagram import IMAGES, images
from puntual.powerbi.parts import parts_files
from puntual.powerbi.star import STAR, star_tables

AGAIN = "python -m pipelines.bi_contract"
ROW = "| `star`, the published `bi` (schema version {version}) | `dim_branches` renamed | yes |\n"


@pytest.fixture
def committed() -> dict:
    return json.loads(CONTRACT_FILE.read_text(encoding="utf-8"))


def test_the_committed_contract_is_that_of_the_star(committed) -> None:
    current = contract_of(star_tables(), SCHEMA_VERSION)
    assert objections(committed, current, CHANGELOG.read_text(encoding="utf-8")) == []
    assert committed == current, f"the star has more than its contract says; run: {AGAIN}"


def rename_column(contract: dict) -> None:
    columns = contract["tables"]["dim_branches"]["columns"]
    columns["branch_label"] = columns.pop("branch_name")


def retype_column(contract: dict) -> None:
    contract["tables"]["fct_payments"]["columns"]["payment_amount"] = "double precision"


def remove_column(contract: dict) -> None:
    del contract["tables"]["fct_kpi"]["columns"]["value"]


def remove_table(contract: dict) -> None:
    del contract["tables"]["dim_dates"]


def change_grain(contract: dict) -> None:
    contract["tables"]["fct_decisions"]["key"] = ["as_of_date", "loan_id"]


@pytest.mark.parametrize("change", [rename_column, retype_column, remove_column, remove_table, change_grain])
def test_a_broken_promise_needs_a_version_and_a_line_in_the_changelog(committed, change) -> None:
    altered = copy.deepcopy(committed)
    change(altered)
    assert broken_promises(committed, altered)
    assert any("SCHEMA_VERSION" in reason for reason in objections(committed, altered, ""))
    altered["schema_version"] += 1
    assert any("CHANGELOG" in reason for reason in objections(committed, altered, "# Changelog\n"))
    told = ROW.format(version=altered["schema_version"])
    assert objections(committed, altered, told) == []
    other = ROW.format(version=altered["schema_version"] + 1)
    assert objections(committed, altered, other) != []


def test_an_addition_needs_nothing_but_to_be_written_down(committed) -> None:
    more = copy.deepcopy(committed)
    more["tables"]["dim_branches"]["columns"]["zone"] = "text"
    more["tables"]["dim_zones"] = {"key": ["zone_key"], "columns": {"zone_key": "bigint"}}
    assert broken_promises(committed, more) == []
    assert objections(committed, more, "") == []


def test_the_tables_of_parts_are_the_generated_ones() -> None:
    again = "python -c 'from puntual.powerbi.parts import *; write_parts()'"
    files = parts_files()
    assert {path.name for path in STAR.glob("star_kpi_*.sql")} == {name for name in files if name.endswith(".sql")}
    for name, text in files.items():
        assert (STAR / name).read_text(encoding="utf-8") == text, f"{name} is out of date; run: {again}"


@pytest.mark.parametrize("name", sorted(images()))
def test_the_pictures_are_drawn_from_the_model(name: str) -> None:
    assert (IMAGES / name).read_text(encoding="utf-8") == images()[name], "run: python -m puntual.powerbi.diagram"


def test_no_protected_attribute_leaves_the_house(committed) -> None:
    leaving = {name for table in committed["tables"].values() for name in table["columns"]}
    assert not protected(leaving)
