"""The report of one reception: ``report.html`` for people, JSON for programs; both readable without a network."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from puntual.landing.outcome import LandingReport
from puntual.landing.read import FILE_STEP
from puntual.landing.validate import ROW, SuiteResult

_TEMPLATE = Path(__file__).parent / "report.html.j2"

# Reason to what it means, Spanish and English. {} is the column or the rule.
_REASONS = {
    "missing": ("falta {}", "{} is missing"),
    "unreadable": ("{} no se puede leer como su tipo", "{} cannot be read as its type"),
    "not_in_list": ("{} tiene un valor que no está en la lista", "{} has a value that is not in the list"),
    "out_of_range": ("{} fuera de rango", "{} is out of range"),
    "impossible_date": ("{} es una fecha imposible", "{} is an impossible date"),
    "in_the_future": ("{} está en el futuro", "{} lies in the future"),
    "orphan": ("{} no existe en su tabla", "{} does not exist in its table"),
    "rule": ("no cumple la regla {}", "breaks the rule {}"),
    "malformed_line": ("la línea no tiene las columnas del encabezado", "the line has not the columns of the header"),
    "superseded_in_load": ("hay una versión más nueva en la misma carga", "a newer version came in the same load"),
    "superseded_in_raw": ("ya se cargó una versión más nueva", "a newer version was loaded before"),
}


def describe_reason(reason: str) -> tuple[str, str]:
    """What a reason means, in Spanish and in English.

    >>> describe_reason("in_the_future:paid_at")
    ('paid_at está en el futuro', 'paid_at lies in the future')
    """
    kind, _, subject = reason.partition(":")
    spanish, english = _REASONS[kind]
    return spanish.format(subject), english.format(subject)


def write_report(
    report: LandingReport, suites: dict[str, SuiteResult], folder: Path, *, gx_version: str | None
) -> tuple[Path, Path]:
    """Write ``report.html``, ``report.json`` and one ``<table>.json`` per validated table; the first two paths."""
    folder.mkdir(parents=True, exist_ok=True)
    validated = {name: _suite_json(report, name, suite, gx_version) for name, suite in suites.items()}
    for name, content in validated.items():
        _write_json(folder / f"{name}.json", content)
    json_path = folder / "report.json"
    _write_json(json_path, report.as_json())
    html_path = folder / "report.html"
    html_path.write_text(_html(report, validated), encoding="utf-8")
    return html_path, json_path


def _write_json(path: Path, content: dict[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=1, ensure_ascii=False, default=str) + "\n", encoding="utf-8")


def _suite_json(report: LandingReport, name: str, suite: SuiteResult, gx_version: str | None) -> dict[str, Any]:
    """What Great Expectations found in a table, over all chunks, in the manner of its own results."""
    table = report.tables.get(name)
    files = [file.name for file in table.files if file.is_read] if table else []
    results = []
    for result in suite.results:
        examples = [
            {
                "source_file": files[example[ROW] // FILE_STEP] if files else None,
                "source_row": example[ROW] % FILE_STEP,
                **{key: value for key, value in example.items() if key != ROW},
            }
            for example in result.examples
        ]
        results.append(
            {
                "success": result.unexpected_count == 0,
                "expectation_config": {"type": result.expectation.type, "kwargs": result.expectation.kwargs},
                "reason": result.expectation.reason,
                "result": {
                    "element_count": result.element_count,
                    "unexpected_count": result.unexpected_count,
                    "partial_unexpected_list": examples,
                },
            }
        )
    return {
        "table": name,
        "success": all(result["success"] for result in results),
        "great_expectations_version": gx_version,
        "results": results,
    }


def _html(report: LandingReport, validated: dict[str, dict[str, Any]]) -> str:
    import jinja2

    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["count"] = lambda value: f"{value:,}"
    environment.filters["share"] = lambda value: f"{value:.2%}"
    environment.globals["describe"] = describe_reason
    return environment.from_string(_TEMPLATE.read_text(encoding="utf-8")).render(report=report, validated=validated)
