"""The business dates by which everything is partitioned."""

from __future__ import annotations

import dagster as dg

# Long before any book that is still open; `end_offset` lets the morning's run name the day that has just begun.
business_days = dg.DailyPartitionsDefinition(start_date="1990-01-01", end_offset=1)
