"""A trained model of expected recovery: amounts, intervals, totals, and its files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import date
from functools import cached_property
from typing import Any

import lightgbm as lgb
import numpy as np
import pandas as pd

from models.artifacts import content_version, json_bytes, read_head
from models.estimators import BoosterSettings, booster_from_text, booster_text, probabilities
from models.features import encode, number
from models.recovery.columns import RECOVERY_FEATURES
from models.recovery.conformal import SumSpread
from models.recovery.settings import RecoverySettings

FORMAT = "recovery/1"
SMALLEST_OWED = 1.0
"""Amounts are learnt as shares of what is owed within the horizon; less than this counts as this."""


@dataclass(frozen=True)
class RecoveryOff:
    """There is no model of expected recovery, and why."""

    reason: str


@dataclass(frozen=True)
class Boosters:
    """Expected share of what is owed, and its two outer quantiles."""

    mean: lgb.Booster
    low: lgb.Booster
    high: lgb.Booster

    def shares(self, matrix: np.ndarray, n_jobs: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Mean, low and high share of every row; none below 0, and the outer two never crossed."""
        mean, low, high = (
            np.maximum(probabilities(booster, matrix, n_jobs=n_jobs), 0.0) if len(matrix) else np.zeros(0)
            for booster in (self.mean, self.low, self.high)
        )
        return mean, np.minimum(low, high), np.maximum(low, high)


@dataclass(frozen=True)
class RecoveryModel:
    """Expected recovery, ready to score. ``card`` is not part of the version.

    Attributes:
        level: factor on every expectation: the recent residual of the portfolio, drawn to 1.
        shift: what the conformal step moves both outer quantiles by, in shares of what is owed.
        spread: of sums of members.
        willingness_version: of the willingness that it was trained with and must be given; empty when it had none.
    """

    trained_as_of: date
    settings: RecoverySettings
    categories: dict[str, list[str]]
    boosters: Boosters
    level: float
    shift: float
    spread: SumSpread
    willingness_version: str = ""
    card: dict[str, Any] = field(default_factory=dict, compare=False)

    name = "recovery"

    @cached_property
    def version(self) -> str:
        """Digest of the model's files."""
        return content_version(self.to_files())

    def predict(self, rows: pd.DataFrame) -> pd.DataFrame:
        """One row per row of :func:`models.recovery.columns.recovery_frame`: expected amount, low and high.

        The interval covers the member's own payment with the confidence of the settings, over members alike.

        Raises:
            ModelError: the columns are not those that the model was trained on.
        """
        checked = RECOVERY_FEATURES.check(rows)
        owed = owed_amount(checked)
        matrix = encode(RECOVERY_FEATURES, checked, self.categories)
        mean, low, high = self.boosters.shares(matrix, self.settings.n_jobs)
        # Nobody pays more than what is owed by then and all the principal that is left.
        left = np.nan_to_num(number(RECOVERY_FEATURES, checked["near_outstanding_principal_amount"]))
        most = owed + np.maximum(left, 0.0)
        expected = np.minimum(self.level * mean * owed, most)
        return pd.DataFrame(
            {
                "as_of_date": checked["as_of_date"].to_numpy(),
                "customer_id": checked["customer_id"].astype(object).to_numpy(),
                "expected_recovery_amount": expected.round(2),
                "low": np.minimum(np.maximum(low - self.shift, 0.0) * owed, expected).round(2),
                "high": np.maximum(np.minimum(np.maximum(high + self.shift, 0.0) * owed, most), expected).round(2),
                "model_version": self.version,
            }
        )

    def totals(self, rows: pd.DataFrame, scores: pd.DataFrame, segments: pd.Series) -> pd.DataFrame:
        """Sums with their interval in total, by branch and by segment; one row per grain and key.

        Args:
            rows: those that were scored, in the same order.
            scores: of :meth:`predict`.
            segments: segment code of each row.
        """
        mean = scores["expected_recovery_amount"].to_numpy(dtype=float)
        owed = owed_amount(rows)
        found = [self._total("total", None, None, mean, owed)]
        for grain, names in (("branch", rows["branch_id"]), ("segment", segments)):
            values = names.astype(object).to_numpy()
            for name in sorted({str(value) for value in values if value is not None and value == value}):
                mine = values == name
                branch, segment = (name, None) if grain == "branch" else (None, name)
                found.append(self._total(grain, branch, segment, mean[mine], owed[mine]))
        return pd.DataFrame(found)

    def _total(
        self, grain: str, branch: str | None, segment: str | None, mean: np.ndarray, owed: np.ndarray
    ) -> dict[str, Any]:
        value, low, high = self.spread.interval(mean, owed, self.settings.confidence)
        return {
            "grain_code": grain,
            "branch_id": branch,
            "segment_code": segment,
            "member_count": len(mean),
            "expected_recovery_amount": round(value, 2),
            "low": round(low, 2),
            "high": round(high, 2),
            "model_version": self.version,
        }

    def to_files(self) -> dict[str, bytes]:
        """The model's files: LightGBM text and JSON."""
        head = {
            "format": FORMAT,
            "trained_as_of": self.trained_as_of,
            "schema_hash": RECOVERY_FEATURES.schema_hash(),
            "settings": asdict(self.settings),
            "categories": self.categories,
            "level": self.level,
            "shift": self.shift,
            "spread": asdict(self.spread),
            "willingness_version": self.willingness_version,
        }
        files = {f"{name}.txt": booster_text(getattr(self.boosters, name)).encode() for name in ("mean", "low", "high")}
        return files | {"model.json": json_bytes(head)}

    @classmethod
    def from_files(cls, files: Mapping[str, bytes], card: dict[str, Any] | None = None) -> RecoveryModel:
        """The model that :meth:`to_files` wrote.

        Raises:
            ModelError: it was trained on other columns than the present ones, or written by another release.
        """
        head = read_head(files, name="recovery", format_=FORMAT, schema_hash=RECOVERY_FEATURES.schema_hash())
        settings = head["settings"] | {
            "correction_weights": tuple(head["settings"]["correction_weights"]),
            "mean": BoosterSettings(**head["settings"]["mean"]),
            "quantile": BoosterSettings(**head["settings"]["quantile"]),
        }
        return cls(
            trained_as_of=date.fromisoformat(head["trained_as_of"]),
            settings=RecoverySettings(**settings),
            categories=head["categories"],
            boosters=Boosters(*(booster_from_text(files[f"{name}.txt"].decode()) for name in ("mean", "low", "high"))),
            level=head["level"],
            shift=head["shift"],
            spread=SumSpread(**head["spread"]),
            willingness_version=head["willingness_version"],
            card=card or {},
        )


def owed_amount(rows: pd.DataFrame) -> np.ndarray:
    """What each member's loans in arrears or near them ask for within the horizon, at least ``SMALLEST_OWED``."""
    return np.maximum(np.nan_to_num(number(RECOVERY_FEATURES, rows["owed_within_horizon_amount"])), SMALLEST_OWED)
