"""The business dates by which everything is partitioned."""

from __future__ import annotations

import warnings

import dagster as dg

# Long before any book that is still open; `end_offset` lets the morning's run name the day that has just begun.
business_days = dg.DailyPartitionsDefinition(start_date="1990-01-01", end_offset=1)

# The backfill policy of an asset is a beta argument; the version is pinned, and the warning is for those who choose it.
warnings.filterwarnings("ignore", category=dg.BetaWarning, message=".*backfill_policy.*")

# A date is one run: a backfill of thirty days is thirty runs, each published or not by itself.
one_day_a_run = dg.BackfillPolicy.multi_run(max_partitions_per_run=1)
