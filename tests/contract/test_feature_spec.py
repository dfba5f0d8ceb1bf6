"""The features that models know and the feature tables that dbt builds are the same, in names, order and types."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from models.features import CUSTOMER_FEATURES, LOAN_FEATURES, RECORD_COLUMNS, WILLINGNESS_COLUMNS, FeatureSpec
from models.willingness.panel import COLUMNS, TABLE
from pipelines.steps.decided import decided_columns

FOLDER = Path(__file__).parents[2] / "dbt_project" / "models" / "features"
TYPES = {
    "date": {"category"},
    "text": {"category"},
    "boolean": {"boolean"},
    "bigint": {"number"},
    "int": {"number"},
    "double precision": {"number"},
}


def columns_of(table: str) -> dict[str, str]:
    """Column names and types of a dbt model, in order, as its YAML declares them."""
    for path in sorted(FOLDER.glob("*.yml")):
        for model in yaml.safe_load(path.read_text(encoding="utf-8")).get("models", []):
            if f"features.{model['name']}" == table:
                return {column["name"]: column["data_type"] for column in model["columns"]}
    raise AssertionError(f"no YAML under {FOLDER} declares {table}")


@pytest.mark.parametrize("spec", [LOAN_FEATURES, CUSTOMER_FEATURES], ids=lambda spec: spec.model)
def test_the_spec_and_the_dbt_contract_have_the_same_columns(spec: FeatureSpec) -> None:
    declared = columns_of(spec.table)
    missing = [name for name in spec.table_names if name not in declared]
    extra = [name for name in declared if name not in spec.table_names]
    assert not missing, f"models/features.py names columns that dbt does not build: {missing}"
    assert not extra, f"dbt builds columns that models/features.py does not explain: {extra}"
    assert list(declared) == list(spec.table_names)


@pytest.mark.parametrize("spec", [LOAN_FEATURES, CUSTOMER_FEATURES], ids=lambda spec: spec.model)
def test_the_columns_of_the_willingness_follow_those_of_the_table(spec: FeatureSpec) -> None:
    followed = WILLINGNESS_COLUMNS + (RECORD_COLUMNS if spec is CUSTOMER_FEATURES else ())
    assert spec.names == spec.table_names + followed
    assert spec.willingness_names == followed


def test_the_weekly_panel_has_the_columns_that_the_willingness_reads() -> None:
    assert set(COLUMNS) == set(columns_of(TABLE))


def test_the_stored_willingness_has_the_columns_of_the_features() -> None:
    keys = ["as_of_date", "customer_id", "model_version"]
    stored = [name for name in decided_columns("ml.member_willingness") if name not in keys]
    assert stored == [*WILLINGNESS_COLUMNS, *RECORD_COLUMNS]


@pytest.mark.parametrize("spec", [LOAN_FEATURES, CUSTOMER_FEATURES], ids=lambda spec: spec.model)
def test_the_types_agree(spec: FeatureSpec) -> None:
    declared = columns_of(spec.table)
    wrong = {
        column.name: (declared[column.name], column.type)
        for column in spec.columns
        if column.source == "table" and column.type not in TYPES.get(declared[column.name].split("(")[0], {"number"})
    }
    assert not wrong, f"types differ (dbt, models): {wrong}"
