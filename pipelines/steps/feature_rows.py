"""What models read: a feature table beside its members' willingness and contact record, and the payment climate."""

from __future__ import annotations

import pandas as pd

from models.features import FeatureSpec
from models.willingness.climate import COLUMNS, TABLE, Climate
from pipelines.day import Day

MEMBER_WILLINGNESS = "ml.member_willingness"


def feature_rows(day: Day, spec: FeatureSpec, flag: str, willingness_version: str) -> pd.DataFrame:
    """The rows of the spec's table with ``flag``, in the order of their key, with the willingness of that version.

    The willingness is NULL without a version, and for a member who never owed anything. A model must be given the
    version that it was trained with (its ``willingness_version``): level and trouble of another are on another scale.
    """
    table = ", ".join(f"features.{name}" for name in spec.table_names)
    found = ", ".join(f"followed.{name}" for name in spec.willingness_names)
    keys = [column.name for column in spec.columns if column.role == "key"]
    order = [name for name in ("as_of_date", "loan_id", "customer_id") if name in keys][:2]
    return day.warehouse.read(
        f"select {table}, {found} from {spec.table} as features"
        f" left join {MEMBER_WILLINGNESS} as followed on features.as_of_date = followed.as_of_date"
        " and features.customer_id = followed.customer_id and followed.model_version = {}"
        f" where features.{flag} order by {', '.join(f'features.{name}' for name in order)}",
        [willingness_version],
    )


def climate_of(day: Day, willingness_version: str) -> Climate | None:
    """The payment climate as that version of the willingness tells it; None without a version or a week."""
    rows = day.warehouse.read(
        f"select {', '.join(COLUMNS)} from {TABLE} where model_version = {{}}", [willingness_version]
    )
    return Climate.of_rows(rows) if len(rows) else None
