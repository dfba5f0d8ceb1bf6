"""What a day's campaigns would send and hold back, with the files as they stand now; nothing is written."""

from __future__ import annotations

from datetime import date

import pandas as pd

from pipelines.day import Day
from pipelines.steps.campaigning import campaign_data, group_day, plan_day, sources_of, stored_day, with_standing
from pipelines.steps.deciding import rules_of
from puntual.errors import RuleError, UsageError
from puntual.paths import Home


def dry_run(place: Home, as_of: date) -> tuple[pd.DataFrame, pd.DataFrame, int]:
    """Counts and suppressions of the date's campaigns as the files stand now, and the members decided about.

    Raises:
        CampaignDataError: a file is not valid.
        UsageError: the date was not decided yet.
        WarehouseError: the warehouse stands at another date.
        RuleError: the counts do not add up.
    """
    day = Day.of(place.root, as_of, "dry-run")
    if not day.warehouse.table_exists("decisions.decisions"):
        raise UsageError(f"{as_of} is not decided yet; run the day first: puntual run {place.root} --as-of {as_of}")
    day.require_built()
    decisions, details = stored_day(day)
    if decisions.empty:
        raise UsageError(f"{as_of} is not decided yet; run the day first: puntual run {place.root} --as-of {as_of}")
    policies = rules_of(day)
    data, sources = with_standing(day, campaign_data(day), policies), sources_of(policies)
    grouped = group_day(day, data, decisions)
    plan = plan_day(day, data, sources, decisions, details, grouped.membership.members, grouped.escalation).plan
    problems = plan.problems()
    if problems:
        raise RuleError(f"The campaigns of {as_of} do not add up: {'; '.join(problems)}")
    return plan.counts, plan.suppressions, len(plan.members)
