"""The launch targets: the whole day, and the models alone."""

from __future__ import annotations

import dagster as dg

daily_refresh = dg.define_asset_job(
    "daily_refresh",
    selection=dg.AssetSelection.all(),
    description="From the landing folder to the published snapshot of one business date.",
)

model_training = dg.define_asset_job(
    "model_training",
    # The whole first stage of dbt, not only what the models read: its tests look across tables.
    selection=dg.AssetSelection.all()
    - dg.AssetSelection.tag("report", "")
    - dg.AssetSelection.groups("scoring", "deciding", "measuring", "publish"),
    description="Up to the models of one business date; publishes nothing.",
)
