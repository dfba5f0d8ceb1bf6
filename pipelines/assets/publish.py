"""The published snapshot: what people and programs read."""

import dagster as dg

from pipelines.partitions import business_days, one_day_a_run
from pipelines.resources import Institution
from pipelines.steps.publishing import publish_day


@dg.asset(
    key=["serving", "snapshot"],
    deps=[
        ["decisions", "decisions"],
        ["marts", "fct_loan_as_of"],
        ["marts", "dim_loans"],
        ["marts", "dim_branches"],
        ["reporting", "rpt_portfolio"],
        ["reporting", "rpt_arrears_movement"],
        ["reference", "dpd_buckets"],
        ["reference", "channels"],
        ["reference", "outcomes"],
    ],
    partitions_def=business_days,
    backfill_policy=one_day_a_run,
    group_name="publish",
    owners=["team:data"],
)
def snapshot(context: dg.AssetExecutionContext, institution: Institution) -> dg.MaterializeResult:
    """Everything of the business date, complete, flipped to in one step. One folder per date and content."""
    return dg.MaterializeResult(metadata=publish_day(institution.day(context)))


ASSETS = [snapshot]
