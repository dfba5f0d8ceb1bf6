"""From the institution's files to the raw tables: through the door, or stopped at it."""

from collections.abc import Iterator

import dagster as dg

from pipelines.partitions import business_days, one_day_a_run
from pipelines.resources import Institution
from pipelines.steps.landing import TABLES, TableVerdict, take_in
from pipelines.steps.plan import write_plan

_RAW = {name: dg.AssetKey(["raw", name]) for name in TABLES}


@dg.multi_asset(
    name="landing",
    backfill_policy=one_day_a_run,
    specs=[
        dg.AssetSpec(
            key,
            group_name="landing",
            description=f"Every version of every accepted row of {name}. One row per key and load.",
            owners=["team:data"],
            kinds={"greatexpectations"},
            partitions_def=business_days,
        )
        for name, key in _RAW.items()
    ],
    check_specs=[
        dg.AssetCheckSpec(
            f"{name}__contract",
            asset=key,
            description=f"Rows of {name} that break the contract stay under the allowed share.",
        )
        for name, key in _RAW.items()
    ],
)
def landing(
    context: dg.AssetExecutionContext, institution: Institution
) -> Iterator[dg.MaterializeResult | dg.AssetCheckResult]:
    """Files checked against the contract and appended to raw; bad rows whole in quarantine with every reason.

    A table that the door refuses fails its check before the step fails: no table was appended to then.
    """
    for verdict in take_in(institution.day(context)):
        if verdict.passed:
            yield dg.MaterializeResult(asset_key=_RAW[verdict.table], metadata=verdict.metadata)
        yield _contract_check(verdict)


def _contract_check(verdict: TableVerdict) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        asset_key=_RAW[verdict.table],
        check_name=f"{verdict.table}__contract",
        passed=verdict.passed,
        severity=dg.AssetCheckSeverity.ERROR,
        description="\n".join(verdict.problems) or None,
        metadata=verdict.metadata,
    )


@dg.multi_asset(
    name="plan",
    backfill_policy=one_day_a_run,
    specs=[
        dg.AssetSpec(
            ["control", name],
            deps=list(_RAW.values()),
            group_name="landing",
            description=description,
            owners=["team:data"],
            partitions_def=business_days,
        )
        for name, description in {
            "run_parameters": "The as-of date and the training sample of the run. One row.",
            "as_of_dates": "The dates that every as-of table is built for. One row per date.",
        }.items()
    ],
)
def plan(context: dg.AssetExecutionContext, institution: Institution) -> Iterator[dg.MaterializeResult]:
    """Which dates to build, and whether a model is due."""
    decided = write_plan(institution.day(context))
    for name in ("run_parameters", "as_of_dates"):
        yield dg.MaterializeResult(asset_key=["control", name], metadata=decided)


ASSETS = [landing, plan]
