"""The dbt project as assets and checks."""

from collections.abc import Iterator
from typing import Any

import dagster as dg
from dagster_dbt import dbt_assets

from pipelines.dbt_events import dagster_events
from pipelines.dbt_translator import WarehouseTranslator
from pipelines.partitions import business_days, one_day_a_run
from pipelines.resources import Institution


def transform_assets(manifest: dict[str, Any]) -> dg.AssetsDefinition:
    """One asset per seed and model, one check per data test."""

    @dbt_assets(
        manifest=manifest,
        name="transform",
        partitions_def=business_days,
        dagster_dbt_translator=WarehouseTranslator(),
        exclude="resource_type:unit_test",
        backfill_policy=one_day_a_run,
    )
    def transform(context: dg.AssetExecutionContext, institution: Institution) -> Iterator[Any]:
        """Seeds, staging, intermediate, marts, features and reporting, built in this process."""
        yield from dagster_events(context, institution.day(context), manifest)

    return transform
