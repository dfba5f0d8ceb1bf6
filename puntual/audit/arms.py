"""What the log says of members whose arm changes something: with which model and weights their row was decided."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pandas as pd

from puntual.audit.digests import canonical
from puntual.decision.variants import plan_code

CHANNEL_MODEL = "contact_channel"
_DUTY = "MINIMUM_DUTY"
"""Reason code of a contact that the product's plan makes in every arm."""


def changes_of(summary: Mapping[str, Any], row: Mapping[str, Any]) -> dict[str, Any]:
    """What the arm of a decision changes (``changed_arms`` of the day's summary); empty: nothing, or not in this row.

    A duty is served by the product's plan whatever the arm.
    """
    found = (summary.get("changed_arms") or {}).get(plan_code(row.get("experiment_id"), row.get("arm_code")))
    return {} if found is None or _DUTY in json.loads(row["reason_codes"]) else dict(found["changes"])


def model_versions(
    decisions: pd.DataFrame, models: Mapping[str, Any], summary: Mapping[str, Any]
) -> dict[str, list[str]] | None:
    """Column ``model_versions`` of the log by row, as JSON: the channel model is that of the member's arm.

    None where no arm has a model of its own.
    """
    own = {one["changes"].get("channel_model") for one in (summary.get("changed_arms") or {}).values()} - {None}
    if not own:
        return None
    texts = {version: canonical({**models, CHANNEL_MODEL: version}).decode() for version in own}
    texts[None] = canonical(dict(models)).decode()
    rows = decisions[["experiment_id", "arm_code", "reason_codes"]].to_dict("records")
    return {"model_versions": [texts[changes_of(summary, row).get("channel_model")] for row in rows]}
