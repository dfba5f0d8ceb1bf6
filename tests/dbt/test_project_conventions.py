"""What every file of the dbt project promises: engine differences in one place, a grain for every table, plain schemas."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipelines.dbt import dbt_vars
from puntual.settings import Institution, Settings
from tests.dbt.warehouses import PROJECT, duckdb_environment

SQL = sorted(file for folder in ("models", "macros", "tests") for file in (PROJECT / folder).rglob("*.sql"))
YAML = sorted((PROJECT / "models").rglob("_*.yml"))
# Each works on one engine only, or means something else on the other.
ONE_ENGINE_ONLY = re.compile(
    r"target\.type|\bqualify\b|\*\s+(exclude|replace)\b|\btry_cast\b|\bcount_if\b|\bgroup by all\b|\bdistinct on\b|\bilike\b",
    re.IGNORECASE,
)


def statement(file: Path) -> str:
    """The file without its comments."""
    text = re.sub(r"\{#.*?#\}", "", file.read_text(encoding="utf-8"), flags=re.DOTALL)
    return re.sub(r"--.*", "", text)


@pytest.mark.parametrize("file", SQL, ids=lambda file: file.stem)
def test_sql_is_portable(file: Path) -> None:
    text = statement(file)
    assert not ONE_ENGINE_ONLY.search(text)
    assert "dispatch" not in text or file.parent.name == "cross_db"
    for ordered in re.findall(r"order by[^)]*?\bdesc\b(?!\s+nulls)[^)]*", text):
        # NULLs sort differently: only columns that are never NULL may be ordered downwards without saying where they go.
        assert re.search(r"arrears_amount desc|bucket_rank desc", ordered), ordered


def described_models() -> dict[str, dict]:
    return {model["name"]: model for file in YAML for model in yaml.safe_load(file.read_text()).get("models") or []}


def test_every_model_says_its_grain() -> None:
    models = {file.stem for file in (PROJECT / "models").rglob("*.sql")}
    described = described_models()
    assert set(described) == models
    assert [name for name, model in described.items() if "One row per" not in model["description"]] == []


def test_every_column_of_the_tables_for_others_is_described_and_typed() -> None:
    for name, model in described_models().items():
        if not name.startswith(("dim_", "fct_", "rpt_", "star_", "kpi_", "feat_", "label_")):
            continue
        for column in model["columns"]:
            assert column["description"], f"{name}.{column['name']}"
            assert column["data_type"], f"{name}.{column['name']}"


def test_names_fit_into_postgres() -> None:
    tests = [test["name"] for file in YAML for test in yaml.safe_load(file.read_text()).get("unit_tests") or []]
    models = [file.stem for file in (PROJECT / "models").rglob("*.sql")]
    assert [name for name in tests + models if len(name) > 63] == []
    assert [name for name in models if len(name) > 51] == [], "dbt adds __dbt_backup"


PARSED_ANEW = """
import json, sys
from dbt.cli.main import dbtRunner
from puntual.settings import quiet_environment
quiet_environment()
project, folder, variables = sys.argv[1:]
outcome = dbtRunner().invoke(["parse", "--project-dir", project, "--profiles-dir", project, "--target-path", folder,
                              "--log-path", folder, "--quiet", "--no-partial-parse", "--vars", variables])
sys.exit(0 if outcome.success else str(outcome.exception))
"""


@pytest.mark.long
def test_what_is_parsed_does_not_depend_on_settings(tmp_path: Path) -> None:
    """The tests share what dbt parsed between settings; this reads the project twice without that, far apart."""
    institution = Institution(name="Any", country="EC", timezone="America/Guayaquil", currency="USD")
    usual = dbt_vars(Settings(institution=institution))
    turned = {
        name: not value if isinstance(value, bool) else value + 7 if isinstance(value, int) else value
        for name, value in usual.items()
    }
    turned |= {"timezone": "America/Mexico_City", "country": "MX", "currency": "MXN", "prepayments": "included",
               "cost_reading": "recorded", "reclassification_reading": "any_day", "writeoff_average": "opening", "rating_table": "other",
               "allocation_order": ["interest", "fees", "principal"], "reconciliation_totals_tolerance": "1"}  # fmt: skip
    assert all(turned[name] != value for name, value in usual.items() if isinstance(value, bool | int))
    found = []
    for number, variables in enumerate((usual, turned)):
        folder = tmp_path / str(number)
        subprocess.run(
            [sys.executable, "-c", PARSED_ANEW, str(PROJECT), str(folder), json.dumps(variables)],
            check=True,
            env=os.environ | duckdb_environment(tmp_path / "none.duckdb") | {"PYTHONHASHSEED": "0"},
        )
        found.append(json.loads((folder / "manifest.json").read_text(encoding="utf-8")))
    for kind in ("nodes", "sources", "macros", "metrics", "semantic_models", "unit_tests", "exposures"):
        assert timeless(found[0][kind]) == timeless(found[1][kind]), kind


def timeless(parsed: Any) -> Any:
    """A part of a manifest without when it was made."""
    if isinstance(parsed, dict):
        return {name: timeless(value) for name, value in parsed.items() if name != "created_at"}
    return [timeless(value) for value in parsed] if isinstance(parsed, list) else parsed
