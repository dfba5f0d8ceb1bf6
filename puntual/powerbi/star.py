"""The star as its dbt contracts describe it: tables, columns, and which key points to which dimension."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from puntual.paths import DBT_PROJECT
from puntual.warehouse.catalog import ColumnSpec, TableSpec

STAR = DBT_PROJECT / "models" / "star"
_PREFIX = "star_"
DATE_ROLES = {"due_date_key": "dim_dates"}
"""Keys of a further date of a fact: related, but not active."""


@dataclass(frozen=True)
class Reference:
    """A key of a fact and the dimension that it points to; only one path between two tables is active."""

    table: str
    column: str
    dimension: str
    dimension_column: str
    is_active: bool


@cache
def star_tables(folder: Path = STAR) -> dict[str, TableSpec]:
    """Every table of the star by its published name, dimensions before facts before parts of KPIs, each by name."""
    tables = [
        _table(model)
        for file in sorted(folder.glob("_*__models.yml"))
        for model in yaml.safe_load(file.read_text(encoding="utf-8"))["models"]
        if model["name"].startswith(_PREFIX)
    ]
    return {table.name: table for table in sorted(tables, key=lambda table: (_rank(table.name), table.name))}


def references(tables: Mapping[str, TableSpec]) -> list[Reference]:
    """Every relation of a fact to a dimension, in the order of the tables and their columns."""
    by_key = {
        key: table.name for table in tables.values() if is_dimension(table.name) for key in [table.columns[0].name]
    }
    found = []
    for table in tables.values():
        if is_dimension(table.name):
            continue
        for column in table.columns:
            role = DATE_ROLES.get(column.name)
            target = role or by_key.get(column.name)
            if target is not None:
                key = tables[target].columns[0].name
                found.append(Reference(table.name, column.name, target, key, role is None))
    return found


def is_dimension(table: str) -> bool:
    """Whether a table of the star describes members rather than events or states."""
    return table.startswith("dim_")


def _rank(name: str) -> int:
    return 0 if is_dimension(name) else 1 if name.startswith("fct_") else 2


def _table(model: Mapping[str, Any]) -> TableSpec:
    columns = tuple(
        ColumnSpec(column["name"], column["data_type"], column["description"]) for column in model["columns"]
    )
    key = next(
        (
            tuple(test["unique_together"]["arguments"]["columns"])
            for test in model.get("data_tests", [])
            if "unique_together" in test
        ),
        tuple(column["name"] for column in model["columns"] if "unique" in column.get("data_tests", [])),
    )
    return TableSpec("star", model["name"].removeprefix(_PREFIX), model["description"], key, columns)
