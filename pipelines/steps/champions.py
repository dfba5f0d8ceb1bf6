"""The models in force on a date, those left out that an upgrade made unusable: they read other columns than today's."""

from __future__ import annotations

from typing import Any

from models.contact_channel.score import FORMAT as CHANNEL_FORMAT
from models.default_risk.score import FORMAT as RISK_FORMAT
from models.features import CUSTOMER_FEATURES, LOAN_FEATURES
from models.kept_promise.columns import PROMISE_FEATURES
from models.kept_promise.score import FORMAT as PROMISE_FORMAT
from models.recovery.columns import RECOVERY_FEATURES
from models.recovery.score import FORMAT as RECOVERY_FORMAT
from models.willingness.model import FORMAT as WILLINGNESS_FORMAT
from models.willingness.model import schema_hash as panel_hash
from pipelines.day import Day

RISK_MODEL = "default_risk"
CHANNEL_MODEL = "contact_channel"
PROMISE_MODEL = "kept_promise"
RECOVERY_MODEL = "recovery"
WILLINGNESS_MODEL = "willingness"

OUTDATED = "it was trained on other columns than today's (the product was upgraded since)"
FOLLOWING = (RISK_MODEL, CHANNEL_MODEL, RECOVERY_MODEL)
"""The models that read the members' willingness, each in the version that it was trained with."""
_PRESENT = {
    RISK_MODEL: (RISK_FORMAT, LOAN_FEATURES),
    CHANNEL_MODEL: (CHANNEL_FORMAT, CUSTOMER_FEATURES),
    PROMISE_MODEL: (PROMISE_FORMAT, PROMISE_FEATURES),
    RECOVERY_MODEL: (RECOVERY_FORMAT, RECOVERY_FEATURES),
}


def fits(day: Day, name: str, version: str) -> bool:
    """Whether a registered version reads the columns that the warehouse has today, and its willingness the panel."""
    stored_format, spec = _PRESENT[name]
    if not _is_present(day, name, version, stored_format, spec.schema_hash()):
        return False
    if name not in FOLLOWING:
        return True
    willingness = day.registry.load(name, version).willingness_version
    return not willingness or _is_present(day, WILLINGNESS_MODEL, willingness, WILLINGNESS_FORMAT, panel_hash())


def _is_present(day: Day, name: str, version: str, stored_format: str, schema_hash: str) -> bool:
    manifest = day.registry.manifest(name, version)
    return manifest["format"] == stored_format and manifest["schema_hash"] == schema_hash


def champion_row(day: Day, name: str) -> dict[str, Any] | None:
    """The registry row of the model in force on the date; None when there is none or it no longer fits."""
    row = day.registry.row_for(name, day.as_of)
    return row if row is not None and fits(day, name, row["version"]) else None


def champion(day: Day, name: str) -> Any | None:
    """The model in force on the date, loaded and with its bytes checked; None when there is none or it no longer fits.

    Raises:
        ModelError: a file is missing or is not the one that was registered.
    """
    row = champion_row(day, name)
    return day.registry.load(name, row["version"]) if row else None
