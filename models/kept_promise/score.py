"""A trained model of kept promises: probabilities and its files."""

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
from models.calibration import Calibration
from models.datasets import as_dates
from models.estimators import BoosterSettings, booster_from_text, booster_text, raw_score
from models.features import encode, number
from models.kept_promise.columns import PROMISE_FEATURES
from models.kept_promise.settings import KeptPromiseSettings

FORMAT = "kept_promise/1"


@dataclass(frozen=True)
class KeptPromiseModel:
    """The probability of a kept promise, ready to score. ``card`` is not part of the version.

    ``kind`` is ``boosted`` (trees and their calibration) or ``rate`` (the member's own record drawn to ``rate``).
    """

    trained_as_of: date
    settings: KeptPromiseSettings
    categories: dict[str, list[str]]
    rate: float
    booster: lgb.Booster | None = None
    calibration: Calibration | None = None
    card: dict[str, Any] = field(default_factory=dict, compare=False)

    name = "kept_promise"

    @property
    def kind(self) -> str:
        """``boosted`` or ``rate``."""
        return "rate" if self.booster is None else "boosted"

    @cached_property
    def version(self) -> str:
        """Digest of the model's files."""
        return content_version(self.to_files())

    def predict(self, features: pd.DataFrame) -> pd.DataFrame:
        """One row per open promise of the feature table: as_of_date, promise_id, customer_id, kept_probability.

        A promise whose last grace day is over or ends with the date cannot be kept any more: its probability is 0.

        Raises:
            ModelError: the columns are not those that the model was trained on.
        """
        rows = PROMISE_FEATURES.check(features)
        probability = self.probability(rows) if len(rows) else np.zeros(0)
        return pd.DataFrame(
            {
                "as_of_date": as_dates(rows["as_of_date"]),
                "promise_id": rows["promise_id"].astype(object),
                "customer_id": rows["customer_id"].astype(object),
                "kept_probability": probability,
                "model_version": self.version,
            }
        ).sort_values(["as_of_date", "promise_id"], ignore_index=True)

    def probability(self, rows: pd.DataFrame) -> np.ndarray:
        """The probability of every row, in the order of the rows."""
        left = np.nan_to_num(number(PROMISE_FEATURES, rows["days_to_grace_end"]))
        if self.booster is None or self.calibration is None:
            found = member_rate(rows, self.rate, self.settings.member_weight)
        else:
            matrix = encode(PROMISE_FEATURES, rows, self.categories)
            found = self.calibration.apply(raw_score(self.booster, matrix, n_jobs=self.settings.n_jobs))
        return np.where(left > 0, found, 0.0)

    def to_files(self) -> dict[str, bytes]:
        """The model's files: LightGBM text and JSON."""
        head = {
            "format": FORMAT,
            "trained_as_of": self.trained_as_of,
            "schema_hash": PROMISE_FEATURES.schema_hash(),
            "settings": asdict(self.settings),
            "categories": self.categories,
            "rate": self.rate,
            "calibration": None if self.calibration is None else self.calibration.to_json(),
        }
        files = {} if self.booster is None else {"kept.txt": booster_text(self.booster).encode()}
        return files | {"model.json": json_bytes(head)}

    @classmethod
    def from_files(cls, files: Mapping[str, bytes], card: dict[str, Any] | None = None) -> KeptPromiseModel:
        """The model that :meth:`to_files` wrote.

        Raises:
            ModelError: it was trained on other columns than the present ones, or written by another release.
        """
        head = read_head(files, name="kept_promise", format_=FORMAT, schema_hash=PROMISE_FEATURES.schema_hash())
        settings = head["settings"] | {"booster": BoosterSettings(**head["settings"]["booster"])}
        return cls(
            trained_as_of=date.fromisoformat(head["trained_as_of"]),
            settings=KeptPromiseSettings(**settings),
            categories=head["categories"],
            rate=head["rate"],
            booster=booster_from_text(files["kept.txt"].decode()) if "kept.txt" in files else None,
            calibration=None if head["calibration"] is None else Calibration.from_json(head["calibration"]),
            card=card or {},
        )


def member_rate(rows: pd.DataFrame, overall: float, weight: float) -> np.ndarray:
    """The member's kept rate of the year drawn to the overall one: (kept + weight x overall) / (settled + weight)."""
    settled = np.nan_to_num(number(PROMISE_FEATURES, rows["settled_promise_count_364d"]))
    kept = settled * np.nan_to_num(number(PROMISE_FEATURES, rows["kept_promise_rate_364d"]))
    return (kept + weight * overall) / (settled + weight)
