"""Limits of a model as data: when it is replaced, and which measure of the day is an alarm.

The shipped files are in ``data/models``; an institution's own, in its home, replaces what it names.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import Field, ValidationError, model_validator

from puntual.errors import ModelError
from puntual.paths import PROJECT_ROOT
from puntual.strict import Strict, Words

SHIPPED = PROJECT_ROOT / "data" / "models"
OWN_FOLDER = "models"
"""Within the institution's folder of policies."""

Measure = Literal[
    "psi_score",
    "psi_feature",
    "new_level_share",
    "missing_share_jump",
    "mean_score_ratio",
    "climate_odds_ratio",
    "ece",
    "calibration_slope",
    "auc_drop",
    "challenger_log_loss",
]


class Level(Strict):
    """Beyond which values something is out of order; at least one end."""

    below: float | None = None
    above: float | None = None

    @model_validator(mode="after")
    def _some_end(self) -> Level:
        if self.below is None and self.above is None:
            raise ValueError("give 'below', 'above' or both")
        if self.below is not None and self.above is not None and self.below >= self.above:
            raise ValueError("'below' must be less than 'above'")
        return self

    def crossed(self, value: float) -> float | None:
        """The end that the value lies beyond; None when it lies within."""
        if self.above is not None and value > self.above:
            return self.above
        if self.below is not None and value < self.below:
            return self.below
        return None


class AlarmLimit(Strict):
    """One measure: from where it warns, from where it alarms, and what to do then."""

    measure: Measure
    warning: Level
    alarm: Level
    retrains: bool
    name: Words
    advice: Words

    @model_validator(mode="after")
    def _alarm_is_farther(self) -> AlarmLimit:
        pairs = ((self.warning.above, self.alarm.above, 1), (self.warning.below, self.alarm.below, -1))
        for warning, alarm, sign in pairs:
            if alarm is not None and warning is not None and sign * (alarm - warning) < 0:
                raise ValueError(f"{self.measure}: the alarm ({alarm}) comes before the warning ({warning})")
        return self


class PromotionRule(Strict):
    """What a challenger must show; see :mod:`models.default_risk.promotion`."""

    proof: Literal["certain", "likely"] = "certain"
    least_events: int = Field(default=50, ge=1)
    tolerance: float = Field(default=0.01, ge=0, le=1)
    prefer_newer_after_days: int = Field(default=28, ge=1)
    max_age_days: int = Field(default=90, ge=1)
    max_ece: float = Field(default=0.03, gt=0, le=1)


class ModelLimits(Strict):
    """Everything in one file."""

    promotion: PromotionRule
    retrain_after_alarm_days: int = Field(ge=0)
    alarms: tuple[AlarmLimit, ...]

    @model_validator(mode="after")
    def _once(self) -> ModelLimits:
        measures = [limit.measure for limit in self.alarms]
        if len(set(measures)) != len(measures):
            raise ValueError(f"a measure has two limits: {measures}")
        return self


_NOT_IN_FORCE = {
    "es": "Es de la versión {version}, que ya no está en uso: no pide entrenar de nuevo. No use sus montos esperados "
    "de esas fechas; vea si la actual repite lo mismo cuando maduren sus notas.",
    "en": "It is of version {version}, which is no longer in use: it asks for no training. Use none of its expected "
    "amounts of those dates; see whether the present one shows the same once its scores have matured.",
}


def load_limits(model: str, own_policies: Path | None = None) -> ModelLimits:
    """The limits of a model: the shipped ones, with what the institution's own file replaces.

    Raises:
        ModelError: a file cannot be read or is not valid; names the file and the key.
    """
    file = SHIPPED / f"{model}.yaml"
    content = _read(file)
    own = own_policies / OWN_FOLDER / f"{model}.yaml" if own_policies else None
    if own is not None and own.exists():
        content, file = _replaced(content, _read(own), own), own
    try:
        return ModelLimits.model_validate(content)
    except ValidationError as error:
        problems = "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors())
        raise ModelError(f"{file}: {problems}. Correct it, or take the key out to get the shipped limit.") from error


@dataclass(frozen=True)
class Alarm:
    """One measure beyond its limit.

    ``detail`` is the feature or target that is meant; ``limit`` the value that was crossed; ``version`` that of the
    model which is meant.
    """

    model: str
    version: str
    target: str
    measure: str
    detail: str | None
    severity: str
    value: float
    limit: float
    retrains: bool
    text_es: str
    text_en: str

    def row(self) -> dict[str, Any]:
        """The alarm as a row of ``measured.model_alarms``, the date aside."""
        found = asdict(self)
        return {
            "model_name": found.pop("model"),
            "model_version": found.pop("version"),
            "target_code": found.pop("target"),
            "measure_code": found.pop("measure"),
            "detail_code": found.pop("detail"),
            "limit_value": found.pop("limit"),
            "is_retraining": found.pop("retrains"),
        } | found


def alarms(
    limits: ModelLimits,
    model: str,
    target: str,
    measured: Iterable[tuple[str, str | None, float]],
    *,
    version: str,
    is_in_force: bool = True,
) -> list[Alarm]:
    """The alarms and warnings among measures (measure, detail, value); unknown values and unlimited measures say none.

    Alarms come first, then the order of the limits.

    Args:
        limits: of the model.
        model: its name.
        target: what it predicts.
        measured: the measures.
        version: the version that they are of.
        is_in_force: whether that is the champion; of another one an alarm says so in place of the limit's advice, and
            asks for no training.
    """
    by_measure = {limit.measure: limit for limit in limits.alarms}
    order = {limit.measure: place for place, limit in enumerate(limits.alarms)}
    found: list[Alarm] = []
    for measure, detail, value in measured:
        limit = by_measure.get(measure)  # type: ignore[call-overload]
        if limit is None or value != value:
            continue
        for severity, level in (("alarm", limit.alarm), ("warning", limit.warning)):
            crossed = level.crossed(value)
            if crossed is None:
                continue
            texts = {
                language: _sentence(getattr(limit.name, language), detail, value, crossed, word)
                + (getattr(limit.advice, language) if is_in_force else _NOT_IN_FORCE[language].format(version=version))
                for language, word in (("es", "límite"), ("en", "limit"))
            }
            retrains = limit.retrains and severity == "alarm" and is_in_force
            told = (severity, value, crossed, retrains, texts["es"], texts["en"])
            found.append(Alarm(model, version, target, measure, detail, *told))
            break
    return sorted(found, key=lambda one: (one.severity != "alarm", order[one.measure], one.detail or ""))  # type: ignore[index]


def _sentence(name: str, detail: str | None, value: float, limit: float, word: str) -> str:
    what = f"{name}: {detail}" if detail else name
    figures = f"{value:.3f} ({word} {limit:g})"
    if word == "límite":
        figures = figures.replace(".", ",")
    return f"{what}: {figures}. "


def _read(file: Path) -> dict[str, Any]:
    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        raise ModelError(f"{file} cannot be read: {error}") from error
    if not isinstance(content, dict):
        raise ModelError(f"{file} must be a mapping with the keys promotion and alarms, not {type(content).__name__}.")
    return content


def _replaced(shipped: dict[str, Any], own: dict[str, Any], file: Path) -> dict[str, Any]:
    """The shipped limits with those that an own file names: keys of promotion, and alarms by their measure."""
    for key, kind in (("promotion", dict), ("alarms", list)):
        if not isinstance(own.get(key, kind()), kind):
            raise ModelError(f"{file}: {key} must be a {'mapping' if kind is dict else 'list'}.")
    alarms_by = {one["measure"]: one for one in shipped["alarms"]}
    for one in own.get("alarms", []):
        measure = one.get("measure") if isinstance(one, dict) else None
        alarms_by[measure] = alarms_by.get(measure, {}) | (one if isinstance(one, dict) else {"measure": one})
    return (
        shipped
        | {key: value for key, value in own.items() if key not in {"promotion", "alarms"}}
        | {"promotion": shipped["promotion"] | own.get("promotion", {}), "alarms": list(alarms_by.values())}
    )
