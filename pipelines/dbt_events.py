"""dbt's events as Dagster's: the one place that touches the parts of dagster-dbt that are not public."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import dagster as dg
from dagster_dbt.asset_utils import get_updated_cli_invocation_params_for_context
from dagster_dbt.core.dbt_cli_event import DbtCoreCliEventMessage

from pipelines.day import Day
from pipelines.dbt import Dbt
from pipelines.dbt_translator import WarehouseTranslator
from pipelines.steps.control import asks_full_build, finish_stage


def dagster_events(context: dg.AssetExecutionContext, day: Day, manifest: dict[str, Any], stage: str) -> Iterator[Any]:
    """Build what is selected of a stage; a materialisation for each model and a result for each test.

    A stage is finished only when all of it was selected and nothing failed.

    Tables that only training needs are built on every day: without training dates in the spine they are empty and cost
    nothing, and the graph has the same shape each morning.
    """
    parameters = get_updated_cli_invocation_params_for_context(
        context=context, manifest=manifest, dagster_dbt_translator=WarehouseTranslator()
    )
    dbt = Dbt.of_day(day)
    for event in dbt.build(parameters.selection_args, full_refresh=asks_full_build(day)):
        message = DbtCoreCliEventMessage(raw_event=event, event_history_metadata={})
        yield from message.to_default_asset_events(
            manifest=parameters.manifest,
            dagster_dbt_translator=parameters.dagster_dbt_translator,
            context=context,
        )
    if not context.is_subset:
        finish_stage(day, stage, dbt.digest())
