"""The dbt project as assets and checks, in its two stages: before the decisions and after them."""

from collections.abc import Iterator
from typing import Any

import dagster as dg
from dagster_dbt import dbt_assets

from pipelines.dbt_events import dagster_events
from pipelines.dbt_translator import WarehouseTranslator
from pipelines.partitions import business_days, one_day_a_run
from pipelines.resources import Institution

_SECOND_STAGE = "tag:report"


def transform_assets(manifest: dict[str, Any]) -> dg.AssetsDefinition:
    """Seeds, staging, intermediate, marts and features: one asset per seed and model, one check per data test."""

    @dbt_assets(
        manifest=manifest,
        name="transform",
        partitions_def=business_days,
        dagster_dbt_translator=WarehouseTranslator(),
        exclude=f"resource_type:unit_test {_SECOND_STAGE}",
        backfill_policy=one_day_a_run,
    )
    def transform(context: dg.AssetExecutionContext, institution: Institution) -> Iterator[Any]:
        """What the models and the decision are made from, built in this process."""
        yield from dagster_events(context, institution.day(context), manifest, "transform")

    return transform


def report_assets(manifest: dict[str, Any]) -> dg.AssetsDefinition:
    """KPIs, reports and the star for BI, which also tell of the day's scores and decisions."""

    @dbt_assets(
        manifest=manifest,
        name="report",
        partitions_def=business_days,
        dagster_dbt_translator=WarehouseTranslator(),
        select=_SECOND_STAGE,
        exclude="resource_type:unit_test",
        backfill_policy=one_day_a_run,
    )
    def report(context: dg.AssetExecutionContext, institution: Institution) -> Iterator[Any]:
        """What management and auditors read, built in this process."""
        yield from dagster_events(context, institution.day(context), manifest, "report")

    return report
