"""The KPI catalogue as typed rows, and the sums and ratios of the semantic layer out of dbt's manifest.

The catalogue (``dbt_project/seeds/kpi_catalog.csv``) is the one place for names, meaning, unit and thresholds. The
semantic layer (``dbt_project/models/kpis/_kpi_*__semantic.yml``) is the one place for how sums and ratios are made.
Here both are read, never repeated; figures come from ``kpis.fct_kpi``.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import field_validator, model_validator

from puntual.errors import KpiError
from puntual.paths import SEEDS
from puntual.strict import Strict

CATALOGUE_FILE = SEEDS / "kpi_catalog.csv"

Unit = Literal["share", "amount", "count", "days", "hours", "minutes", "per_hour", "index"]
Grain = Literal[
    "total", "branch", "product", "segment", "bucket", "collector", "agency", "channel", "campaign", "province",
    "branch_product",
]  # fmt: skip


class Kpi(Strict):
    """One row of the catalogue. ``target``, ``amber`` and ``red`` are in the unit of the value: 0.05 is 5 %.

    ``numerator`` and ``denominator`` name measures of the semantic layer, or say in words what a model of its own
    divides; the denominator of a sum is ``1``.
    """

    kpi_code: str
    parent_code: str | None
    family: str
    label_es: str
    label_en: str
    description_es: str
    description_en: str
    formula_es: str
    formula_en: str
    numerator: str
    denominator: str
    unit: Unit
    format: str
    grains: tuple[Grain, ...]
    additivity: Literal["additive", "semi_additive", "non_additive"]
    direction: Literal["up", "down", "none"]
    target: float | None
    amber: float | None
    red: float | None
    source: str
    inputs: tuple[str, ...]
    kind: Literal["official", "derived", "analytic"]
    status: Literal["on", "off"]
    off_reason_es: str | None
    off_reason_en: str | None
    kpi_rank: int

    @field_validator("grains", "inputs", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        return tuple(value.split("|")) if isinstance(value, str) else value

    @field_validator("parent_code", "target", "amber", "red", "off_reason_es", "off_reason_en", mode="before")
    @classmethod
    def _empty_is_none(cls, value: Any) -> Any:
        return None if value == "" else value

    @model_validator(mode="after")
    def _is_sound(self) -> Kpi:
        if self.status == "off" and not (self.off_reason_es and self.off_reason_en):
            raise ValueError(f"{self.kpi_code} is off without a reason in both languages")
        if self.status == "on" and (self.off_reason_es or self.off_reason_en):
            raise ValueError(f"{self.kpi_code} is on and has a reason to be off")
        limits = [limit for limit in (self.target, self.amber, self.red) if limit is not None]
        if limits and self.direction == "none":
            raise ValueError(f"{self.kpi_code} has thresholds and no direction")
        if limits != sorted(limits, reverse=self.direction == "up"):
            raise ValueError(f"{self.kpi_code}: target, amber and red must get worse in this order")
        return self

    def label(self, language: str) -> str:
        """The name in ``es`` or ``en``."""
        return self.label_es if language == "es" else self.label_en

    def light(self, value: float | None) -> Literal["green", "amber", "red"] | None:
        """Where a value stands: ``red`` or ``amber`` once it reaches that limit; None without value or limits."""
        if value is None or (self.amber is None and self.red is None):
            return None
        sign = -1 if self.direction == "up" else 1
        if self.red is not None and sign * value >= sign * self.red:
            return "red"
        if self.amber is not None and sign * value >= sign * self.amber:
            return "amber"
        return "green"


def load_catalogue(file: Path = CATALOGUE_FILE) -> tuple[Kpi, ...]:
    """Every KPI of the catalogue in the order of screens.

    Raises:
        KpiError: a row is not what the catalogue's columns ask for; names the row and the reason.
    """
    kpis = []
    with file.open(encoding="utf-8", newline="") as handle:
        for number, row in enumerate(csv.DictReader(handle), start=2):
            try:
                kpis.append(Kpi.model_validate(row))
            except ValueError as error:
                raise KpiError(f"{file.name}, row {number} ({row.get('kpi_code')}): {error}") from error
    codes = [kpi.kpi_code for kpi in kpis]
    if twice := sorted({code for code in codes if codes.count(code) > 1}):
        raise KpiError(f"{file.name}: {', '.join(twice)} stand(s) there more than once")
    return tuple(sorted(kpis, key=lambda kpi: (kpi.kpi_rank, kpi.kpi_code)))


class Measure(Strict):
    """A column of a parts table that is summed. ``is_stock``: never over dates; the last day of a period counts."""

    name: str
    table: str
    column: str
    date_column: str
    is_stock: bool
    description: str


class Metric(Strict):
    """A KPI of the semantic layer: a sum of one measure, or the ratio of two; the denominator of a sum is None."""

    kpi_code: str
    kind: Literal["simple", "ratio"]
    numerator: Measure
    denominator: Measure | None

    @property
    def measures(self) -> tuple[Measure, ...]:
        """The measures that it reads, numerator first."""
        return (self.numerator,) if self.denominator is None else (self.numerator, self.denominator)


def load_metrics(manifest: Mapping[str, Any]) -> dict[str, Metric]:
    """The KPIs of the semantic layer by their code, in its order, out of dbt's manifest (``manifest.json``).

    Raises:
        KpiError: a metric with a KPI code is neither the plain sum of a measure nor the ratio of two such sums.
    """
    measures = _measures(manifest)
    metrics = {metric["name"]: metric for metric in manifest["metrics"].values()}

    def measure_of(name: str, asked_by: str) -> Measure:
        metric = metrics.get(name)
        if metric is None or metric["type"] != "simple" or metric.get("filter"):
            raise KpiError(f"metric {asked_by}: {name} is not the plain sum of a measure")
        return measures[metric["type_params"]["measure"]["name"]]

    found = {}
    for metric in metrics.values():
        code = (metric["config"].get("meta") or {}).get("kpi_code")
        if not code:
            continue
        parameters, asked_by = metric["type_params"], metric["name"]
        if metric["type"] == "simple":
            numerator, denominator = measure_of(asked_by, asked_by), None
        elif metric["type"] == "ratio":
            numerator = measure_of(parameters["numerator"]["name"], asked_by)
            denominator = measure_of(parameters["denominator"]["name"], asked_by)
        else:
            raise KpiError(f"metric {asked_by} is {metric['type']}: {code} needs a kpi_values__ model")
        found[code] = Metric(kpi_code=code, kind=metric["type"], numerator=numerator, denominator=denominator)
    return dict(sorted(found.items()))


def model_codes(manifest: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    """KPI codes by the model or source that says in its meta ``kpi_codes`` that it makes them."""
    nodes = [*manifest["nodes"].values(), *manifest["sources"].values()]
    found = {node["name"]: (node["config"].get("meta") or {}).get("kpi_codes") for node in nodes}
    return {name: tuple(codes) for name, codes in sorted(found.items()) if codes}


def _measures(manifest: Mapping[str, Any]) -> dict[str, Measure]:
    found = {}
    for model in manifest["semantic_models"].values():
        date_column = (model.get("defaults") or {}).get("agg_time_dimension")
        for measure in model["measures"]:
            found[measure["name"]] = Measure(
                name=measure["name"],
                table=model["node_relation"]["alias"],
                column=measure.get("expr") or measure["name"],
                date_column=date_column,
                is_stock=date_column == "as_of_date",
                description=measure.get("description") or "",
            )
    return found
