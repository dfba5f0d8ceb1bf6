"""Models: trained when due, promoted by the written rule, otherwise kept; before them what both of them read."""

import dagster as dg

from pipelines.partitions import business_days, one_day_a_run
from pipelines.resources import Institution
from pipelines.steps.learning import learn_contact_channel, learn_default_risk
from pipelines.steps.willingness import follow_willingness


@dg.asset(
    key=["ml", "member_willingness"],
    deps=[
        ["features", "panel_customer__week"],
        ["features", "feat_loan__as_of"],
        ["features", "feat_customer__as_of"],
        ["marts", "fct_interactions"],
    ],
    partitions_def=business_days,
    backfill_policy=one_day_a_run,
    group_name="learning",
    owners=["team:risk"],
)
def member_willingness(context: dg.AssetExecutionContext, institution: Institution) -> dg.MaterializeResult:
    """What past weeks say about the will to pay, and the record of contacts. One row per member, date and version.

    Writes ``ml.payment_climate`` beside it: what the weeks of all members have in common.
    """
    return dg.MaterializeResult(metadata=follow_willingness(institution.day(context)))


@dg.asset(
    key=["ml", "default_risk_model"],
    deps=[
        ["ml", "member_willingness"],
        ["features", "feat_loan__as_of"],
        ["features", "label_loan__default"],
        ["marts", "dim_customers"],
        ["reference", "segments"],
    ],
    partitions_def=business_days,
    backfill_policy=one_day_a_run,
    group_name="learning",
    owners=["team:risk"],
    kinds={"lightgbm"},
)
def default_risk_model(context: dg.AssetExecutionContext, institution: Institution) -> dg.MaterializeResult:
    """The champion of default risk for the date: trained now when it is due. One registry row per version."""
    return dg.MaterializeResult(metadata=learn_default_risk(institution.day(context)))


@dg.asset(
    key=["ml", "contact_channel_model"],
    deps=[
        ["ml", "member_willingness"],
        ["features", "feat_customer__as_of"],
        ["features", "label_customer__contact_response"],
    ],
    partitions_def=business_days,
    backfill_policy=one_day_a_run,
    group_name="learning",
    owners=["team:risk"],
    kinds={"lightgbm"},
)
def contact_channel_model(context: dg.AssetExecutionContext, institution: Institution) -> dg.MaterializeResult:
    """The champion of the contact effect for the date, or the reason why it is off. One registry row per version."""
    return dg.MaterializeResult(metadata=learn_contact_channel(institution.day(context)))


ASSETS = [member_willingness, default_risk_model, contact_channel_model]
