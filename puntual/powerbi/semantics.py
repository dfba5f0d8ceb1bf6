"""What a KPI is, read from where it is defined: the catalogue (words) and the MetricFlow files (sums and ratios)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from puntual.errors import PuntualError
from puntual.kpis.catalogue import Kpi, load_catalogue
from puntual.paths import DBT_PROJECT


class SemanticsError(PuntualError):
    """The catalogue and the semantic files disagree, or say something that a measure cannot be made of."""


@dataclass(frozen=True)
class BaseSum:
    """A sum over a table of parts.

    Attributes:
        name: as MetricFlow names it; unique.
        is_stock: a state at the end of a day: of several days the last counts, never their sum.
    """

    name: str
    table: str
    column: str
    is_stock: bool
    description: str


@dataclass(frozen=True)
class SumMetric:
    """A KPI that is a sum, or a ratio of two sums (``denominator`` is None for a plain sum).

    ``is_unknown_without_numerator``: where only the denominator has rows the ratio is blank, and not 0.
    """

    code: str
    numerator: str
    denominator: str | None
    is_unknown_without_numerator: bool = False


@dataclass(frozen=True)
class Semantics:
    """Every KPI that is on, and the sums that they stand on; all in a stable order."""

    sums: dict[str, BaseSum]
    metrics: dict[str, SumMetric]
    catalogue: dict[str, Kpi]

    @property
    def analytic(self) -> list[Kpi]:
        """KPIs that are on and no sum or ratio: their values are read from the long table."""
        return [entry for code, entry in self.catalogue.items() if entry.status == "on" and code not in self.metrics]


def load_semantics(project: Path = DBT_PROJECT) -> Semantics:
    """The KPIs of the dbt project in ``project``.

    Raises:
        SemanticsError: a metric names a measure or a KPI that nobody defines, or is of a kind that is no sum or ratio.
    """
    catalogue = {kpi.kpi_code: kpi for kpi in load_catalogue(project / "seeds" / "kpi_catalog.csv")}
    sums: dict[str, BaseSum] = {}
    raw_metrics: list[tuple[Path, dict[str, Any]]] = []
    for file in sorted((project / "models" / "kpis").glob("_*__semantic.yml")):
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
        for model in content.get("semantic_models") or []:
            for base in _sums(model):
                if base.name in sums:
                    raise SemanticsError(f"{file.name}: measure {base.name!r} is defined twice. Rename one.")
                sums[base.name] = base
        raw_metrics += [(file, metric) for metric in content.get("metrics") or []]
    metrics: dict[str, SumMetric] = {}
    for file, raw in raw_metrics:
        code = _meta(raw).get("kpi_code")
        if code is None:
            continue
        metric = _metric(file, raw, code)
        for part in (metric.numerator, metric.denominator):
            if part is not None and part not in sums:
                raise SemanticsError(f"{file.name}: metric {raw['name']!r} names {part!r}, which is no measure.")
        if code not in catalogue:
            raise SemanticsError(f"{file.name}: metric {raw['name']!r} is of {code}, which kpi_catalog.csv lacks.")
        if catalogue[code].status == "on":
            metrics[code] = metric
    return Semantics(
        dict(sorted(sums.items())), {code: metrics[code] for code in catalogue if code in metrics}, catalogue
    )


def _sums(model: dict[str, Any]) -> Iterator[BaseSum]:
    table = str(model["model"]).removeprefix("ref('").removesuffix("')")
    for measure in model.get("measures") or []:
        if measure["agg"] != "sum":
            raise SemanticsError(f"{model['name']}.{measure['name']}: {measure['agg']} is no sum. Make it a column.")
        yield BaseSum(
            name=measure["name"],
            table=table,
            column=str(measure.get("expr") or measure["name"]),
            is_stock=(model.get("defaults") or {}).get("agg_time_dimension") == "as_of_date",
            description=measure.get("description") or "",
        )


def _metric(file: Path, raw: dict[str, Any], code: str) -> SumMetric:
    parameters = raw["type_params"]
    if raw["type"] == "simple":
        return SumMetric(code, _named(parameters["measure"]), None)
    if raw["type"] == "ratio":
        is_unknown = _meta(raw).get("missing_numerator") == "unknown"
        return SumMetric(code, _named(parameters["numerator"]), _named(parameters["denominator"]), is_unknown)
    raise SemanticsError(
        f"{file.name}: metric {raw['name']!r} is {raw['type']}; only simple and ratio become measures."
    )


def _meta(raw: dict[str, Any]) -> dict[str, Any]:
    return (raw.get("config") or {}).get("meta") or raw.get("meta") or {}


def _named(part: Any) -> str:
    return str(part["name"]) if isinstance(part, dict) else str(part)
