"""Measures of models and decisions, for the KPIs that are no sums."""

import dagster as dg

from pipelines.partitions import business_days, one_day_a_run
from pipelines.resources import Institution
from pipelines.steps.measuring import measure_day


@dg.asset(
    key=["measured", "kpi_values"],
    deps=[
        ["decisions", "decisions"],
        ["ml", "member_willingness"],
        ["ml", "default_risk_model"],
        ["ml", "contact_channel_model"],
        ["ml", "default_risk_scores"],
        ["ml", "channel_scores"],
        ["ml", "recovery_totals"],
        ["marts", "fct_interactions"],
        ["marts", "fct_payments"],
        ["marts", "fct_promises"],
        ["features", "feat_loan__as_of"],
        ["features", "feat_customer__as_of"],
        ["marts", "dim_customers"],
        ["marts", "dim_loans"],
        ["marts", "dim_collectors"],
        ["intermediate", "int_installments__past_due_spans"],
        ["staging", "stg_core__holidays"],
        ["reference", "segments"],
        ["reference", "fairness_groups"],
    ],
    partitions_def=business_days,
    backfill_policy=one_day_a_run,
    group_name="measuring",
    owners=["team:data"],
)
def kpi_values(context: dg.AssetExecutionContext, institution: Institution) -> dg.MaterializeResult:
    """Parts of KPIs that Python measures. One row per business date, period, KPI, grain and detail."""
    return dg.MaterializeResult(metadata=measure_day(institution.day(context)))


ASSETS = [kpi_values]
