"""The published snapshot: what people and programs read."""

from collections.abc import Mapping
from typing import Any

import dagster as dg

from pipelines.partitions import business_days, one_day_a_run
from pipelines.resources import Institution
from pipelines.steps.publishing import publish_day
from pipelines.steps.tables import published_addresses


def publish_assets(manifest: Mapping[str, Any]) -> dg.AssetsDefinition:
    """The snapshot, after everything that it holds."""

    @dg.asset(
        key=["serving", "snapshot"],
        deps=[
            ["decisions", "decisions"],
            ["ml", "promise_scores"],
            ["ml", "recovery_scores"],
            ["ml", "reach_hours"],
            *(address.split(".") for address in published_addresses(manifest)),
        ],
        partitions_def=business_days,
        backfill_policy=one_day_a_run,
        group_name="publish",
        owners=["team:data"],
    )
    def snapshot(context: dg.AssetExecutionContext, institution: Institution) -> dg.MaterializeResult:
        """Everything of the business date, complete, flipped to in one step. One folder per date and content."""
        return dg.MaterializeResult(metadata=publish_day(institution.day(context)))

    return snapshot
