"""The gate between our figures and the decisions: the core's own balances and totals."""

import dagster as dg

from pipelines.partitions import business_days, one_day_a_run
from pipelines.resources import Institution
from pipelines.steps.reconciling import reconcile_day

_KEY = dg.AssetKey(["control", "reconciliation"])


@dg.asset(
    key=_KEY,
    deps=[
        ["marts", "fct_loan_reconciliation"],
        ["reporting", "rpt_reconciliation"],
        ["reporting", "rpt_reconciliation_causes"],
        ["reporting", "rpt_reconciliation_totals"],
    ],
    partitions_def=business_days,
    backfill_policy=one_day_a_run,
    group_name="reconciling",
    owners=["team:data"],
    check_specs=[
        dg.AssetCheckSpec(
            "reconciliation__explained",
            asset=_KEY,
            description="No more loans or totals differ from the core's without a known cause than the settings allow.",
            blocking=True,
        )
    ],
)
def reconciliation(context: dg.AssetExecutionContext, institution: Institution) -> dg.MaterializeResult:
    """Whether our figures are the core's. One verdict per business date."""
    verdict = reconcile_day(institution.day(context))
    check = dg.AssetCheckResult(
        check_name="reconciliation__explained", passed=not verdict.message, metadata={"message": verdict.message}
    )
    return dg.MaterializeResult(metadata=verdict.metadata, check_results=[check])


ASSETS = [reconciliation]
