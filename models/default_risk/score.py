"""A trained default-risk model: probabilities, reason codes, and its files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import date
from functools import cached_property
from typing import Any, Protocol

import lightgbm as lgb
import numpy as np
import pandas as pd

from models.artifacts import content_version, json_bytes, read_head
from models.calibration import Calibration
from models.datasets import as_dates
from models.default_risk.climate import ClimateEffect, expected_climate
from models.default_risk.reasons import reasons
from models.default_risk.settings import DefaultRiskSettings
from models.estimators import (
    BoosterSettings,
    booster_from_text,
    booster_text,
    contributions,
    raw_score,
)
from models.features import LOAN_FEATURES, encode, number
from models.seasons import Season
from models.willingness.climate import Climate
from puntual.errors import ModelError

FORMAT = "default_risk/1"
TARGETS = ("default", "early_warning")


class TargetModel(Protocol):
    """What gives the probability of one target."""

    @property
    def kind(self) -> str:
        """``boosted``, ``curve`` or ``prior``."""
        ...

    def probability(
        self, matrix: np.ndarray, past_due_days: np.ndarray, day_of_year: np.ndarray, climate: np.ndarray
    ) -> np.ndarray:
        """Calibrated probability of every row; the threshold itself is the caller's matter.

        ``climate``: of each row, the payment climate expected over the target's horizon on its date, and its variance;
        NaN for unknown.
        """
        ...


@dataclass(frozen=True)
class BoostedTarget:
    """Boosted trees on top of a yearly season and the payment climate, with their calibration."""

    booster: lgb.Booster
    season: Season
    calibration: Calibration
    n_jobs: int = 2
    kind: str = "boosted"
    climate: ClimateEffect = field(default_factory=ClimateEffect)

    def probability(
        self, matrix: np.ndarray, past_due_days: np.ndarray, day_of_year: np.ndarray, climate: np.ndarray
    ) -> np.ndarray:
        """Calibrated probability of every row; past-due days are among the features already."""
        del past_due_days
        score = raw_score(self.booster, matrix, n_jobs=self.n_jobs) + self.season.log_odds(day_of_year)
        return self.climate.apply(self.calibration.apply(score), climate)


@dataclass(frozen=True)
class CurveTarget:
    """Past-due days alone: knots joined by lines. ``kind`` is ``curve`` (learnt, drawn to the prior) or ``prior``."""

    days: tuple[float, ...]
    probabilities: tuple[float, ...]
    kind: str = "prior"

    def probability(
        self, matrix: np.ndarray, past_due_days: np.ndarray, day_of_year: np.ndarray, climate: np.ndarray
    ) -> np.ndarray:
        """Probability of every row by its past-due days."""
        del matrix, day_of_year, climate
        return np.interp(past_due_days, self.days, self.probabilities)


@dataclass(frozen=True)
class DefaultRiskModel:
    """Both targets, ready to score. ``card`` says how good they are and is not part of the version.

    ``willingness_version``: of the willingness that it was trained with and must be given; empty when it had none.
    """

    trained_as_of: date
    settings: DefaultRiskSettings
    categories: dict[str, list[str]]
    targets: dict[str, TargetModel]
    card: dict[str, Any] = field(default_factory=dict, compare=False)
    willingness_version: str = ""

    name = "default_risk"

    @property
    def kind(self) -> str:
        """``boosted``, ``curve`` or ``prior``: what stands behind the default probability."""
        return self.targets["default"].kind

    @cached_property
    def version(self) -> str:
        """Digest of the model's files."""
        return content_version(self.to_files())

    def predict(self, features: pd.DataFrame, climate: Climate | None = None) -> pd.DataFrame:
        """The first of the two tables of :meth:`predict_with_reasons`."""
        return self.predict_with_reasons(features, climate)[0]

    def predict_with_reasons(
        self, features: pd.DataFrame, climate: Climate | None = None
    ) -> tuple[pd.DataFrame, pd.DataFrame]:
        """One row per row of the feature table, sorted by as_of_date and loan_id.

        1. ``default_probability``: 1 for loans already at or past the threshold, the calibrated probability for others.
        2. ``early_warning_probability``: likewise for the early threshold.
        3. ``reason_codes``: JSON list of at most four groups that raised the default score, strongest first; empty for
           loans that owe nothing now or soon and are below ``REASONED_FROM``.

        The second table has the rows of the first that have reasons: as_of_date and the columns of
        :func:`models.default_risk.reasons.reasons`.

        Without ``climate`` (of the willingness that the model was trained with) a row is scored at the level of the
        times that is usual of the learnt ones.

        Raises:
            ModelError: the columns are not those that the model was trained on.
        """
        rows = LOAN_FEATURES.check(features)
        matrix, days, level, probability = self._scored(rows, climate)
        why = reasons(self, rows, matrix, days, level, probability["default"])
        result = pd.DataFrame(
            {
                "as_of_date": as_dates(rows["as_of_date"]).to_numpy(),
                "loan_id": rows["loan_id"].to_numpy(),
                "default_probability": probability["default"],
                "early_warning_probability": probability["early_warning"],
                "model_version": self.version,
                "reason_codes": why["raising_codes"].to_numpy(),
            }
        )
        order = ["as_of_date", "loan_id"]
        why.insert(0, "as_of_date", result["as_of_date"])
        given = (why["raising_codes"] != "[]") | (why["lowering_codes"] != "[]")
        return (
            result.sort_values(order, kind="stable", ignore_index=True),
            why[given].sort_values(order, kind="stable", ignore_index=True),
        )

    def probabilities(self, features: pd.DataFrame, climate: Climate | None = None) -> pd.DataFrame:
        """The probability of both targets alone, row by row: columns ``default`` and ``early_warning``."""
        return pd.DataFrame(self._scored(LOAN_FEATURES.check(features), climate)[3], index=features.index)

    def _scored(
        self, rows: pd.DataFrame, climate: Climate | None
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, dict[str, np.ndarray]]:
        """Matrix, past-due days, climate expected for default, and the probability of each target of checked rows."""
        spec = LOAN_FEATURES
        matrix = encode(spec, rows, self.categories)
        days = np.nan_to_num(number(spec, rows["past_due_days"]), nan=0.0)
        day_of_year = number(spec, rows["day_of_year"])
        limits = {"default": self.settings.past_due_days, "early_warning": self.settings.early_past_due_days}
        horizons = {"default": self.settings.horizon_days, "early_warning": self.settings.early_horizon_days}
        dates = as_dates(rows["as_of_date"])
        expected = {target: expected_climate(climate, dates, horizons[target]) for target in TARGETS}
        probability = {
            target: np.where(
                days >= limits[target],
                1.0,
                self.targets[target].probability(matrix, days, day_of_year, expected[target]),
            )
            for target in TARGETS
        }
        return matrix, days, expected["default"], probability

    def explain(self, features: pd.DataFrame, target: str = "default") -> pd.DataFrame:
        """Exact tree SHAP values in log odds: one row per row of the feature table, one column per feature."""
        model = self.targets[target]
        if not isinstance(model, BoostedTarget):
            raise ModelError(
                f"default_risk: the {target} model is a {model.kind} of past-due days; only that moves it."
            )
        matrix = encode(LOAN_FEATURES, features, self.categories)
        values = contributions(model.booster, matrix, n_jobs=self.settings.n_jobs)
        return pd.DataFrame(values, columns=list(LOAN_FEATURES.feature_names), index=features.index)

    def to_files(self) -> dict[str, bytes]:
        """The model as LightGBM text and JSON; :meth:`from_files` reads it back."""
        files: dict[str, bytes] = {}
        targets: dict[str, Any] = {}
        for target in TARGETS:
            model = self.targets[target]
            if isinstance(model, BoostedTarget):
                files[f"{target}.txt"] = booster_text(model.booster).encode()
                targets[target] = {
                    "kind": model.kind,
                    "season": model.season.coefficients,
                    "calibration": model.calibration.to_json(),
                } | ({"climate": asdict(model.climate)} if model.climate != ClimateEffect() else {})
            elif isinstance(model, CurveTarget):
                targets[target] = {"kind": model.kind, "days": model.days, "probabilities": model.probabilities}
            else:
                raise ModelError(f"default_risk: a {type(model).__name__} cannot be stored.")
        head = {
            "format": FORMAT,
            "trained_as_of": self.trained_as_of,
            "schema_hash": LOAN_FEATURES.schema_hash(),
            "settings": asdict(self.settings),
            "categories": self.categories,
            "targets": targets,
            "willingness_version": self.willingness_version,
        }
        return files | {"model.json": json_bytes(head)}

    @classmethod
    def from_files(cls, files: Mapping[str, bytes], card: dict[str, Any] | None = None) -> DefaultRiskModel:
        """The model that :meth:`to_files` wrote.

        Raises:
            ModelError: it was trained on other columns than the present ones.
        """
        head = read_head(files, name="default_risk", format_=FORMAT, schema_hash=LOAN_FEATURES.schema_hash())
        settings = head["settings"] | {"booster": BoosterSettings(**head["settings"]["booster"])}
        targets: dict[str, TargetModel] = {}
        for target, stored in head["targets"].items():
            if stored["kind"] == "boosted":
                booster = booster_from_text(files[f"{target}.txt"].decode())
                season, calibration = Season(tuple(stored["season"])), Calibration.from_json(stored["calibration"])
                climate = ClimateEffect(**stored.get("climate", {}))
                targets[target] = BoostedTarget(booster, season, calibration, settings["n_jobs"], climate=climate)
            else:
                targets[target] = CurveTarget(tuple(stored["days"]), tuple(stored["probabilities"]), stored["kind"])
        return cls(
            trained_as_of=date.fromisoformat(head["trained_as_of"]),
            settings=DefaultRiskSettings(**settings),
            categories=head["categories"],
            targets=targets,
            card=card or {},
            willingness_version=head["willingness_version"],
        )
