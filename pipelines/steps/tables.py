"""The tables that a snapshot holds for BI: what is selected, and in which order: the same rows are the same bytes."""

from __future__ import annotations

# No column that the contract marks as personal data is among them, neither of members nor of collectors; the work lists
# carry what a collector needs, and only for the members that the day chose.
BI_TABLES = {
    "dim_customers": (
        "select customer_id, is_urban, member_since_date, branch_id, language_code, customer_status_code"
        " from marts.dim_customers",
        "customer_id",
    ),
    "dim_loans": ("select * from marts.dim_loans", "loan_id"),
    "dim_collectors": (
        "select collector_id, team, kind_code, agency, channels, zone, languages, daily_capacity, active_from,"
        " active_to from marts.dim_collectors",
        "collector_id",
    ),
    "dim_branches": ("select * from marts.dim_branches", "branch_id"),
    "fct_loan_as_of": (
        "select * from marts.fct_loan_as_of"
        " where is_month_end or as_of_date = (select as_of_date from control.run_parameters)",
        "as_of_date, loan_id",
    ),
    "fct_payments": ("select * from marts.fct_payments", "payment_id"),
    "fct_interactions": ("select * from marts.fct_interactions", "interaction_id"),
    "fct_promises": ("select * from marts.fct_promises", "promise_id"),
    "rpt_portfolio": ("select * from reporting.rpt_portfolio", "as_of_date, branch_id, product_code, bucket_code"),
    "rpt_arrears_movement": ("select * from reporting.rpt_arrears_movement", "as_of_date, branch_id, product_code"),
    "dpd_buckets": ("select * from reference.dpd_buckets", "bucket_rank"),
    "channels": ("select * from reference.channels", "channel_code"),
    "outcomes": ("select * from reference.outcomes", "outcome_code"),
}


def bi_sql(name: str) -> str:
    """The query of a published table, in the order of its key."""
    select, order = BI_TABLES[name]
    return f"{select} order by {order}"
