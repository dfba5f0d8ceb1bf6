"""Writes the files that are made of the KPI catalogue, or of a library, into a checkout.

``python -m puntual.kpis.generate`` after a change of the catalogue or of the library holidays; a test compares.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from pathlib import Path

from puntual.kpis.catalogue import Kpi, load_catalogue
from puntual.paths import PROJECT_ROOT

DOCUMENT = Path("docs/kpis.md")
HOLIDAYS = Path("dbt_project/seeds/holidays.csv")
COUNTRIES = ("CL", "CO", "EC", "MX", "PE", "US")
YEARS = range(2018, 2036)

FAMILIES = {
    "portfolio": ("Cartera y mora", "Portfolio and arrears"),
    "risk": ("Riesgo de crédito", "Credit risk"),
    "movement": ("Movimiento de la mora", "Movement of arrears"),
    "recovery": ("Recuperación y costo", "Recovery and cost"),
    "contacts": ("Gestión y contacto", "Contacts"),
    "promises": ("Promesas de pago", "Promises to pay"),
    "coverage": ("Cobertura y contactabilidad", "Coverage and contactability"),
    "productivity": ("Productividad de los gestores", "Productivity of collectors"),
    "messages": ("Canales digitales", "Digital channels"),
    "decisions": ("Decisiones", "Decisions"),
    "models": ("Modelos", "Models"),
    "reconciliation": ("Conciliación", "Reconciliation"),
    "service": ("Servicio al socio", "Service"),
}
"""Families in the order of the document, with their names in Spanish and English."""

_WORDS = {
    "es": {
        "unit": {"share": "proporción", "amount": "monto", "count": "conteo", "days": "días", "hours": "horas",
                 "minutes": "minutos", "per_hour": "por hora", "index": "índice"},
        "grain": {"total": "total", "branch": "agencia", "product": "producto", "segment": "segmento",
                  "bucket": "tramo de mora", "collector": "gestor", "agency": "empresa de cobranza", "channel": "canal",
                  "campaign": "campaña", "province": "provincia", "branch_product": "agencia y producto"},
        "kind": {"official": "oficial", "derived": "derivado", "analytic": "analítico"},
        "head": "| Código | Indicador | Qué dice | Fórmula | Unidad | Desgloses | Meta · ámbar · rojo |"
        " Tipo y fuente |",
        "off_head": "| Código | Indicador | Por qué está apagado |",
        "off": "Apagados",
    },
    "en": {
        "unit": {"share": "share", "amount": "amount", "count": "count", "days": "days", "hours": "hours",
                 "minutes": "minutes", "per_hour": "per hour", "index": "index"},
        "grain": {"total": "total", "branch": "branch", "product": "product", "segment": "segment",
                  "bucket": "bucket", "collector": "collector", "agency": "agency", "channel": "channel",
                  "campaign": "campaign", "province": "province", "branch_product": "branch and product"},
        "kind": {"official": "official", "derived": "derived", "analytic": "analytic"},
        "head": "| Code | KPI | What it says | Formula | Unit | Broken down by | Target · amber · red |"
        " Kind and source |",
        "off_head": "| Code | KPI | Why it is off |",
        "off": "Off",
    },
}  # fmt: skip


def generated_files() -> dict[Path, str]:
    """Path in the checkout to text, of every file that is generated here."""
    return {DOCUMENT: document(load_catalogue()), HOLIDAYS: holiday_table()}


def document(kpis: Iterable[Kpi]) -> str:
    """The catalogue as one page, Spanish first; families in their order, what is off at the end of each language."""
    kpis = tuple(kpis)
    parts = []
    for language in ("es", "en"):
        file = Path(__file__).with_name(f"introduction.{language}.md")
        parts += [file.read_text(encoding="utf-8"), _body(kpis, language)]
    return "\n".join(part.strip("\n") + "\n" for part in parts)


def _body(kpis: tuple[Kpi, ...], language: str) -> str:
    words, lines = _WORDS[language], []
    known = [*FAMILIES, *sorted({kpi.family for kpi in kpis} - set(FAMILIES))]
    for family in known:
        rows = [kpi for kpi in kpis if kpi.family == family and kpi.status == "on"]
        if rows:
            names = FAMILIES.get(family, (family, family))
            lines += [f"### {names[0] if language == 'es' else names[1]}", "", str(words["head"]), "|" + "---|" * 8]
            lines += [_row(kpi, language) for kpi in rows] + [""]
    off = [kpi for kpi in kpis if kpi.status == "off"]
    if off:
        lines += [f"### {words['off']}", "", str(words["off_head"]), "|---|---|---|"]
        for kpi in off:
            reason = kpi.off_reason_es if language == "es" else kpi.off_reason_en
            lines.append(f"| {kpi.kpi_code} | {_cell(kpi.label(language))} | {_cell(reason or '')} |")
    return "\n".join(lines)


def _row(kpi: Kpi, language: str) -> str:
    words = _WORDS[language]
    spanish = language == "es"
    cells = [
        kpi.kpi_code,
        kpi.label(language),
        kpi.description_es if spanish else kpi.description_en,
        kpi.formula_es if spanish else kpi.formula_en,
        words["unit"][kpi.unit],  # type: ignore[index]
        ", ".join(words["grain"][grain] for grain in kpi.grains),  # type: ignore[index]
        " · ".join(_limit(kpi, limit) for limit in (kpi.target, kpi.amber, kpi.red)),
        f"{words['kind'][kpi.kind]}; {kpi.source}",  # type: ignore[index]
    ]
    if kpi.target is kpi.amber is kpi.red is None:
        cells[6] = ""
    return "| " + " | ".join(_cell(cell) for cell in cells) + " |"


def _limit(kpi: Kpi, limit: float | None) -> str:
    if limit is None:
        return "–"
    return f"{100 * limit:g} %" if kpi.unit == "share" else f"{limit:g}"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def holiday_table() -> str:
    """National holidays of every country that has contact rules of its own, as CSV, by country and day."""
    import holidays

    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["country", "date", "name"])
    for country in COUNTRIES:
        language = "en_US" if country == "US" else "es"
        found = holidays.country_holidays(country, years=YEARS, language=language)
        for day in sorted(found):
            writer.writerow([country, day.isoformat(), found[day]])
    return text.getvalue()


def write_generated(root: Path = PROJECT_ROOT) -> list[Path]:
    """Write the generated files under ``root`` and return their paths."""
    written = []
    for relative, text in generated_files().items():
        path = root / relative
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        written.append(path)
    return written


if __name__ == "__main__":
    write_generated()
