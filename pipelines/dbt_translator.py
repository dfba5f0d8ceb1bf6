"""How a dbt node appears among the assets: its key is where it stands in the warehouse, its group is its layer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import dagster as dg
from dagster_dbt import DagsterDbtTranslator, DagsterDbtTranslatorSettings


class WarehouseTranslator(DagsterDbtTranslator):
    """Keys ``[schema, table]`` for models, seeds and sources alike, so that raw tables connect by name."""

    def __init__(self) -> None:
        super().__init__(
            DagsterDbtTranslatorSettings(enable_asset_checks=True, enable_duplicate_source_asset_keys=True)
        )

    def get_asset_key(self, dbt_resource_props: Mapping[str, Any]) -> dg.AssetKey:
        """``[schema, table]``."""
        if dbt_resource_props["resource_type"] == "source" and dbt_resource_props["source_name"] == "earlier":
            return dg.AssetKey(["decisions", "earlier"])  # today's decisions are not among what they rest on
        if dbt_resource_props["resource_type"] == "source" and dbt_resource_props["schema"] == "decisions":
            return dg.AssetKey(["decisions", "decisions"])  # one asset writes all of its tables
        name = dbt_resource_props.get("alias") or dbt_resource_props["name"]
        if dbt_resource_props["resource_type"] == "source":
            name = dbt_resource_props.get("identifier") or dbt_resource_props["name"]
        return dg.AssetKey([dbt_resource_props["schema"], name])

    def get_group_name(self, dbt_resource_props: Mapping[str, Any]) -> str | None:
        """The layer: reference, staging, intermediate, marts, features or reporting."""
        return dbt_resource_props["schema"]
