"""The tables of parts of the star, generated from the dbt files of the KPI families: a new sum is described once.

After a family has changed: ``python -c 'from puntual.powerbi.parts import *; write_parts()'``. A test compares.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from puntual.paths import DBT_PROJECT

GENERATED_YAML = "_star_parts__models.yml"
KEYS = {
    "branch_key": ("branch_id", "dim_branches"),
    "product_key": ("product_code", "dim_products"),
    "segment_key": ("segment_code", "dim_segments"),
    "bucket_key": ("bucket_code", "dim_buckets"),
    "collector_key": ("collector_id", "dim_collectors"),
    "channel_key": ("channel_code", "dim_channels"),
    "campaign_key": ("campaign_id", "dim_campaigns"),
}
_NOTE = "generated from models/kpis by puntual.powerbi.parts; edit those, not this file"


def parts_files(project: Path = DBT_PROJECT) -> dict[str, str]:
    """File of ``models/star`` to text, of every table of parts that has a semantic model."""
    described = _described(project)
    files, models = {}, []
    for table, date_column in sorted(_families(project).items()):
        source = described[table]
        names = [column["name"] for column in source["columns"]]
        keys = {key: target for key, (natural, target) in KEYS.items() if natural in names}
        columns = [
            {"name": "date_key", "data_type": "bigint", "description": "Day as yyyymmdd: key of dim_dates."},
            *(
                {"name": key, "data_type": "bigint", "description": f"Key of {target}; -1 without one."}
                for key, target in keys.items()
            ),
            *(
                {"name": column["name"], "data_type": column["data_type"], "description": column["description"]}
                for column in source["columns"]
            ),
        ]
        tests = [
            *(test for test in source.get("data_tests") or [] if isinstance(test, dict) and "unique_together" in test),
            {"keys_found": {"arguments": {"dimensions": ["date_key", *keys]}}},
        ]
        model = {"name": f"star_{table}", "description": source["description"], "data_tests": tests, "columns": columns}
        models.append(model)
        files[f"star_{table}.sql"] = (
            f"-- {_NOTE}\n{{{{ config(alias='{table}') }}}}\n{{{{ star_parts(ref('{table}'), '{date_column}') }}}}\n"
        )
    text = yaml.safe_dump({"version": 2, "models": models}, sort_keys=False, allow_unicode=True, width=120)
    return {GENERATED_YAML: f"# {_NOTE}\n{text}", **files}


def write_parts(project: Path = DBT_PROJECT) -> list[Path]:
    """Write the generated files into the dbt project; those of a family that is gone are removed."""
    folder = project / "models" / "star"
    files = parts_files(project)
    for old in folder.glob("star_kpi_*.sql"):
        if old.name not in files:
            old.unlink()
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")
    return [folder / name for name in files]


def _families(project: Path) -> dict[str, str]:
    """Tables of parts with the column of their date."""
    found = {}
    for file in sorted((project / "models" / "kpis").glob("_*__semantic.yml")):
        for model in yaml.safe_load(file.read_text(encoding="utf-8")).get("semantic_models") or []:
            if model.get("measures"):
                table = str(model["model"]).removeprefix("ref('").removesuffix("')")
                found[table] = model["defaults"]["agg_time_dimension"]
    return found


def _described(project: Path) -> dict[str, dict[str, Any]]:
    return {
        model["name"]: model
        for file in sorted((project / "models" / "kpis").rglob("_*__models.yml"))
        for model in yaml.safe_load(file.read_text(encoding="utf-8")).get("models") or []
    }
