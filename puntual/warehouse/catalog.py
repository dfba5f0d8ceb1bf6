"""What the dbt project builds, as its manifest describes it: the one place from which others learn columns and keys."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class ColumnSpec:
    """A column of a described table: SQL type as its contract names it (empty for a seed without one) and meaning."""

    name: str
    data_type: str
    description: str


@dataclass(frozen=True)
class TableSpec:
    """A table that the project builds.

    Attributes:
        schema, name: where it stands in the warehouse.
        key: columns that identify a row, from its ``unique``, ``unique_together`` or ``validity_does_not_overlap``
            test; empty when it has none.
        columns: in the order of the contract.
    """

    schema: str
    name: str
    description: str
    key: tuple[str, ...]
    columns: tuple[ColumnSpec, ...]

    @property
    def address(self) -> str:
        """``schema.name``."""
        return f"{self.schema}.{self.name}"


def described_tables(manifest: Mapping[str, Any], schemas: Collection[str]) -> dict[str, TableSpec]:
    """Models and seeds of the given schemas by address, sorted by it; ephemeral models are no tables.

    Args:
        manifest: dbt's ``manifest.json`` as a dictionary.
        schemas: names as in the warehouse, for instance ``{"star", "reporting"}``.
    """
    keys = _keys(manifest)
    found = {}
    for unique_id, node in manifest["nodes"].items():
        if node["resource_type"] not in {"model", "seed"} or node["schema"] not in schemas:
            continue
        if node["config"].get("materialized") == "ephemeral":
            continue
        columns = tuple(
            ColumnSpec(column["name"], column.get("data_type") or "", column.get("description") or "")
            for column in node["columns"].values()
        )
        name = node.get("alias") or node["name"]
        spec = TableSpec(node["schema"], name, node.get("description") or "", keys.get(unique_id, ()), columns)
        found[spec.address] = spec
    return dict(sorted(found.items()))


def _keys(manifest: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    """The first key that a test promises for each node: one column, or several together."""
    keys: dict[str, tuple[str, ...]] = {}
    for _, node in sorted(manifest["nodes"].items()):
        test = node.get("test_metadata") or {}
        attached = node.get("attached_node")
        if attached is None or node["resource_type"] != "test":
            continue
        if test.get("name") == "unique_together":
            keys[attached] = tuple(test["kwargs"]["columns"])
        elif test.get("name") == "validity_does_not_overlap":
            keys.setdefault(attached, (*test["kwargs"]["columns"], "valid_from_date"))
        elif test.get("name") == "unique":
            keys.setdefault(attached, (test["kwargs"]["column_name"],))
    return keys
