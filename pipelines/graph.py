"""The whole graph in one place: assets, checks, jobs, schedule and sensor of one institution."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import dagster as dg

from pipelines.assets import deciding, landing, learning, measuring, outlook, reconciling, scoring
from pipelines.assets.publish import publish_assets
from pipelines.assets.transform import report_assets, transform_assets
from pipelines.dbt import Dbt
from pipelines.jobs import daily_refresh, model_training
from pipelines.resources import Institution
from pipelines.schedules import morning_schedule
from pipelines.sensors import landing_sensor
from puntual.paths import Home
from puntual.settings import Settings, load_settings
from puntual.warehouse import Warehouse


def build_defs(
    home: Path, *, force_training: bool = False, full_refresh: bool = False, settings: Settings | None = None
) -> dg.Definitions:
    """Definitions for the institution in ``home``.

    Raises:
        UsageError: the home has no valid settings.
    """
    place = Home(home.resolve())
    settings = settings or load_settings(place)
    warehouse = Warehouse.open(
        settings.warehouse.url,
        place.root,
        threads=settings.runtime.threads,
        memory_limit_gb=settings.runtime.memory_limit_gb,
    )
    manifest = Dbt.of(place.root, settings, warehouse).manifest()
    return dg.Definitions(
        assets=all_assets(manifest),
        jobs=[daily_refresh, model_training],
        schedules=[morning_schedule(settings.institution.timezone)],
        sensors=[landing_sensor(place, settings)],
        resources={
            "institution": Institution(home=str(place.root), force_training=force_training, full_refresh=full_refresh)
        },
        executor=dg.in_process_executor,
    )


def all_assets(manifest: dict[str, Any]) -> list[dg.AssetsDefinition]:
    """Every asset, from the landing folder to the published snapshot."""
    return [
        *landing.ASSETS,
        transform_assets(manifest),
        *reconciling.ASSETS,
        *learning.ASSETS,
        *scoring.ASSETS,
        *outlook.ASSETS,
        *deciding.ASSETS,
        *measuring.ASSETS,
        report_assets(manifest),
        publish_assets(manifest),
    ]
