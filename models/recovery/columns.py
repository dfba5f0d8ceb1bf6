"""The columns that expected recovery reads: the member's, and what the loans ask for within the horizon."""

from __future__ import annotations

import pandas as pd

from models.datasets import as_dates
from models.features import CUSTOMER_FEATURES, Feature, FeatureSpec
from puntual.errors import ModelError


def _asked(name: str, why: str) -> Feature:
    return Feature(name, "number", why, leakage="the schedule and the arrears at the end of as_of_date", group="DEBT")


HORIZON_COLUMNS = (
    _asked("near_loan_count", "loans in arrears or near them"),
    _asked("due_within_horizon_count", "instalments that fall due within the horizon"),
    _asked("due_within_horizon_amount", "what falls due within the horizon"),
    _asked("owed_within_horizon_amount", "arrears and what falls due within the horizon"),
    _asked("near_outstanding_principal_amount", "what is still to be paid on those loans"),
)

RECOVERY_FEATURES = FeatureSpec(
    model="recovery",
    table="features.feat_customer__as_of with features.feat_customer__recovery",
    columns=(*CUSTOMER_FEATURES.columns, *HORIZON_COLUMNS),
    groups=CUSTOMER_FEATURES.groups,
)


def recovery_frame(customers: pd.DataFrame, horizon: pd.DataFrame) -> pd.DataFrame:
    """Rows of ``feat_customer__as_of`` that have one of ``feat_customer__recovery``, with its columns beside them.

    In the order of date and member. Eligible members alone: the others have nothing to collect.

    Raises:
        ModelError: a key repeats in one of the two.
    """
    keys = ["as_of_date", "customer_id"]
    left = customers.assign(as_of_date=as_dates(customers["as_of_date"]))
    left = left[left["is_eligible"].fillna(False).to_numpy(dtype=bool)]
    right = horizon.assign(as_of_date=as_dates(horizon["as_of_date"]))
    if left.duplicated(keys).any() or right.duplicated(keys).any():
        raise ModelError("recovery: a member appears twice on a date; rebuild the features.")
    names = [*keys, *(column.name for column in HORIZON_COLUMNS)]
    joined = left.merge(right[names], on=keys, how="inner").sort_values(keys, kind="stable", ignore_index=True)
    return RECOVERY_FEATURES.check(joined)
