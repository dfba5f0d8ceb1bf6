"""Kept promises, expected recovery and reach by hour: models and what they say of the business date."""

from collections.abc import Iterator

import dagster as dg

from pipelines.partitions import business_days, one_day_a_run
from pipelines.resources import Institution
from pipelines.steps.learning import learn_kept_promise, learn_recovery
from pipelines.steps.outlook import estimate_reach_hours, score_promises, score_recovery


@dg.asset(
    key=["ml", "kept_promise_model"],
    deps=[["features", "feat_promise__as_of"], ["features", "label_promise__kept"]],
    partitions_def=business_days,
    backfill_policy=one_day_a_run,
    group_name="learning",
    owners=["team:risk"],
    kinds={"lightgbm"},
)
def kept_promise_model(context: dg.AssetExecutionContext, institution: Institution) -> dg.MaterializeResult:
    """The model of kept promises in force for the date. One registry row per version."""
    return dg.MaterializeResult(metadata=learn_kept_promise(institution.day(context)))


@dg.asset(
    key=["ml", "recovery_model"],
    deps=[
        ["features", "feat_customer__as_of"],
        ["features", "feat_customer__recovery"],
        ["features", "label_customer__recovery"],
    ],
    partitions_def=business_days,
    backfill_policy=one_day_a_run,
    group_name="learning",
    owners=["team:risk"],
    kinds={"lightgbm"},
)
def recovery_model(context: dg.AssetExecutionContext, institution: Institution) -> dg.MaterializeResult:
    """The model of expected recovery in force for the date, or why there is none. One registry row per version."""
    return dg.MaterializeResult(metadata=learn_recovery(institution.day(context)))


@dg.asset(
    key=["ml", "promise_scores"],
    deps=[["ml", "kept_promise_model"], ["features", "feat_promise__as_of"]],
    partitions_def=business_days,
    backfill_policy=one_day_a_run,
    group_name="scoring",
    owners=["team:risk"],
    kinds={"lightgbm"},
)
def promise_scores(context: dg.AssetExecutionContext, institution: Institution) -> dg.MaterializeResult:
    """The probability that an open promise is kept. One row per open promise and business date."""
    return dg.MaterializeResult(metadata=score_promises(institution.day(context)))


@dg.multi_asset(
    name="recovery_scores",
    specs=[
        dg.AssetSpec(
            ["ml", name],
            deps=[
                ["ml", "recovery_model"],
                ["features", "feat_customer__as_of"],
                ["features", "feat_customer__recovery"],
                ["reference", "segments"],
            ],
            group_name="scoring",
            owners=["team:risk"],
            kinds={"lightgbm"},
            description=description,
            partitions_def=business_days,
        )
        for name, description in {
            "recovery_scores": "What each eligible member should pay within the horizon. One row per member and date.",
            "recovery_totals": "The same in total, by branch and by segment. One row per grain, key and date.",
        }.items()
    ],
    backfill_policy=one_day_a_run,
)
def recovery_scores(context: dg.AssetExecutionContext, institution: Institution) -> Iterator[dg.MaterializeResult]:
    """Expected recovery with its interval, of members and of the portfolio."""
    said = score_recovery(institution.day(context))
    for name in ("recovery_scores", "recovery_totals"):
        yield dg.MaterializeResult(asset_key=["ml", name], metadata=said)


@dg.asset(
    key=["ml", "reach_hours"],
    deps=[["marts", "fct_interactions"], ["marts", "dim_customers"]],
    partitions_def=business_days,
    backfill_policy=one_day_a_run,
    group_name="scoring",
    owners=["team:collections"],
)
def reach_hours(context: dg.AssetExecutionContext, institution: Institution) -> dg.MaterializeResult:
    """How often people are reached. One row per channel, segment, weekday, hour and business date."""
    return dg.MaterializeResult(metadata=estimate_reach_hours(institution.day(context)))


ASSETS = [kept_promise_model, recovery_model, promise_scores, recovery_scores, reach_hours]
