"""Measures from the catalogue: sums over the tables of parts, ratios of two, and figures read from the long table."""

from __future__ import annotations

from dataclasses import dataclass

from puntual.kpis.catalogue import Kpi
from puntual.powerbi.captions import sum_caption
from puntual.powerbi.dax import column_text, literal_text, measure_text, table_text
from puntual.powerbi.semantics import BaseSum, Semantics

DATE_TABLE = "dim_dates"
_DATE = column_text(DATE_TABLE, "date")

FAMILIES = {
    "portfolio": ("Cartera", "Portfolio"),
    "risk": ("Riesgo", "Risk"),
    "movement": ("Movimiento de la mora", "Movement"),
    "models": ("Modelos", "Models"),
    "service": ("Servicio", "Service"),
    "recovery": ("Recuperación", "Recovery"),
    "contacts": ("Contacto", "Contacts"),
    "promises": ("Compromisos de pago", "Promises"),
    "messages": ("Mensajes", "Messages"),
    "coverage": ("Cobertura", "Coverage"),
    "decisions": ("Decisiones", "Decisions"),
}

# Grains of the long table that a filter on a dimension can ask for, finest first; province and agency have no key.
_GRAIN_DIMENSIONS = {
    "branch_product": ("dim_branches", "dim_products"),
    "branch": ("dim_branches",),
    "product": ("dim_products",),
    "segment": ("dim_segments",),
    "bucket": ("dim_buckets",),
    "collector": ("dim_collectors",),
    "channel": ("dim_channels",),
    "campaign": ("dim_campaigns",),
}


@dataclass(frozen=True)
class Measure:
    """A measure of the model.

    Attributes:
        folder_es, folder_en: display folder; levels apart by a backslash.
        is_base: a sum that others are made of.
    """

    name: str
    expression: str
    format: str
    caption_es: str
    caption_en: str
    description_es: str
    description_en: str
    folder_es: str
    folder_en: str
    is_base: bool


def measure_name(entry: Kpi) -> str:
    """Name of a KPI's measure: its code and its English label; reports bind to it."""
    return f"{entry.kpi_code} {entry.label_en}"


def all_measures(semantics: Semantics) -> list[Measure]:
    """The sums by their name, then every KPI that is on in the order of the catalogue."""
    measures = [_base(base) for base in semantics.sums.values()]
    for code, entry in semantics.catalogue.items():
        metric = semantics.metrics.get(code)
        if entry.status == "off":
            continue
        if metric is None:
            expression = analytic_expression(entry)
        elif metric.denominator is None:
            expression = measure_text(metric.numerator)
        else:
            expression = ratio_expression(
                semantics.sums[metric.numerator],
                semantics.sums[metric.denominator],
                is_unknown_without_numerator=metric.is_unknown_without_numerator,
            )
        family_es, family_en = FAMILIES.get(entry.family, (entry.family.capitalize(), entry.family.capitalize()))
        measures.append(
            Measure(
                name=measure_name(entry),
                expression=expression,
                format=entry.format,
                caption_es=f"{entry.kpi_code} {entry.label_es}",
                caption_en=measure_name(entry),
                description_es=entry.description_es,
                description_en=entry.description_en,
                folder_es=family_es,
                folder_en=family_en,
                is_base=False,
            )
        )
    return measures


def ratio_expression(numerator: BaseSum, denominator: BaseSum, *, is_unknown_without_numerator: bool = False) -> str:
    """One sum over another; where the first stands in another table and has no row, it is 0, or blank."""
    is_zero = numerator.table != denominator.table and not is_unknown_without_numerator
    above = measure_text(numerator.name) + (" + 0" if is_zero else "")
    return f"DIVIDE({above}, {measure_text(denominator.name)})"


def base_expression(base: BaseSum) -> str:
    """The sum of a column; of a stock on the last day kept in the period that is looked at, whatever else is chosen."""
    total = f"SUM({column_text(base.table, base.column)})"
    if not base.is_stock:
        return total
    return f"{_last_date('is_stock_date')}\nRETURN CALCULATE({total}, {_DATE} = LastDate)"


def analytic_expression(entry: Kpi) -> str:
    """The figure of the last month in the period that is looked at, at the grain that the chosen dimensions ask for.

    Blank when several rows answer: such a figure is never added up.
    """
    facts = "fct_kpi"
    branches = [
        f"    {' && '.join(f'ISFILTERED({table_text(table)})' for table in dimensions)}, {literal_text(grain)},"
        for grain, dimensions in _GRAIN_DIMENSIONS.items()
        if grain in entry.grains
    ]
    grain = (
        "\n".join(["VAR Grain = SWITCH(", "    TRUE(),", *branches, f"    {literal_text('total')}", ")"])
        if branches
        else f"VAR Grain = {literal_text('total')}"
    )
    return "\n".join(
        [
            grain,
            _last_date("is_month_close"),
            "RETURN CALCULATE(",
            f"    IF(COUNTROWS({table_text(facts)}) = 1, MAX({column_text(facts, 'value')})),",
            f"    {column_text(facts, 'kpi_code')} = {literal_text(entry.kpi_code)},",
            f"    {column_text(facts, 'period_code')} = {literal_text('month')},",
            f"    {column_text(facts, 'grain_code')} = Grain,",
            f"    {_DATE} = LastDate",
            ")",
        ]
    )


def answerable_grains(entry: Kpi) -> tuple[str, ...]:
    """Grains at which a figure read from the long table can be asked for: those with a dimension of their own."""
    return tuple(grain for grain in entry.grains if grain == "total" or grain in _GRAIN_DIMENSIONS)


def _last_date(flag: str) -> str:
    return f"VAR LastDate = CALCULATE(MAX({_DATE}), {column_text(DATE_TABLE, flag)} = TRUE())"


def _base(base: BaseSum) -> Measure:
    family = base.table.removeprefix("kpi_")
    family_es, family_en = FAMILIES.get(family, (family.capitalize(), family.capitalize()))
    caption = sum_caption(base.name)
    is_amount = base.name.endswith("_amount")
    return Measure(
        name=base.name,
        expression=base_expression(base),
        format="#,0.00" if is_amount else "#,0",
        caption_es=caption.es,
        caption_en=caption.en,
        description_es=caption.about_es or base.description,
        description_en=base.description,
        folder_es=f"Sumas\\{family_es}",
        folder_en=f"Sums\\{family_en}",
        is_base=True,
    )
