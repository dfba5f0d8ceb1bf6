"""The decision of the business date: rules, value, capacity, assignment."""

import dagster as dg

from pipelines.partitions import business_days, one_day_a_run
from pipelines.resources import Institution
from pipelines.steps.deciding import EXIT_CHECKS, decide_day

_KEY = dg.AssetKey(["decisions", "decisions"])


@dg.asset(
    key=_KEY,
    deps=[
        ["control", "reconciliation"],
        ["ml", "default_risk_scores"],
        ["ml", "channel_scores"],
        ["ml", "reach_hours"],
        ["features", "feat_customer__as_of"],
        ["features", "feat_loan__as_of"],
        ["marts", "fct_interactions"],
        ["marts", "fct_payments"],
        ["marts", "fct_promises"],
        ["marts", "dim_customers"],
        ["marts", "dim_contact_points"],
        ["marts", "dim_collectors"],
        ["staging", "stg_core__holidays"],
    ],
    partitions_def=business_days,
    backfill_policy=one_day_a_run,
    group_name="deciding",
    owners=["team:collections"],
    check_specs=[
        dg.AssetCheckSpec(f"decisions__{name}", asset=_KEY, description=text, blocking=True)
        for name, text in EXIT_CHECKS.items()
    ],
)
def decisions(context: dg.AssetExecutionContext, institution: Institution) -> dg.MaterializeResult:
    """What to do with every eligible member. One row per eligible member and business date."""
    outcome = decide_day(institution.day(context))
    checks = [
        dg.AssetCheckResult(check_name=f"decisions__{name}", passed=not why, metadata={"violations": why})
        for name, why in outcome.checks.items()
    ]
    return dg.MaterializeResult(metadata=outcome.metadata, check_results=checks)


ASSETS = [decisions]
