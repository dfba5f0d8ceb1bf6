"""Scores of the business date."""

import dagster as dg

from pipelines.partitions import business_days, one_day_a_run
from pipelines.resources import Institution
from pipelines.steps.scoring import score_contact_channel, score_default_risk


@dg.asset(
    key=["ml", "default_risk_scores"],
    deps=[["ml", "default_risk_model"], ["ml", "member_willingness"], ["features", "feat_loan__as_of"]],
    partitions_def=business_days,
    backfill_policy=one_day_a_run,
    group_name="scoring",
    owners=["team:risk"],
    kinds={"lightgbm"},
    check_specs=[
        dg.AssetCheckSpec(
            "default_risk_scores__probabilities",
            asset=["ml", "default_risk_scores"],
            description="One score for every open loan, each between 0 and 1.",
            blocking=True,
        )
    ],
)
def default_risk_scores(context: dg.AssetExecutionContext, institution: Institution) -> dg.MaterializeResult:
    """Probability of default and early warning. One row per open loan and business date."""
    outcome = score_default_risk(institution.day(context))
    check = dg.AssetCheckResult(passed=outcome.passed, metadata=outcome.metadata)
    return dg.MaterializeResult(metadata=outcome.metadata, check_results=[check])


@dg.asset(
    key=["ml", "channel_scores"],
    deps=[["ml", "contact_channel_model"], ["ml", "member_willingness"], ["features", "feat_customer__as_of"]],
    partitions_def=business_days,
    backfill_policy=one_day_a_run,
    group_name="scoring",
    owners=["team:risk"],
    kinds={"lightgbm"},
)
def channel_scores(context: dg.AssetExecutionContext, institution: Institution) -> dg.MaterializeResult:
    """Expected extra money of a contact. One row per eligible member, channel and business date."""
    return dg.MaterializeResult(metadata=score_contact_channel(institution.day(context)))


ASSETS = [default_risk_scores, channel_scores]
