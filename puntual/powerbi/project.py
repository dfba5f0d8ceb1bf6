"""A Power BI project as files: model, report, and what ties them together. The same inputs give the same bytes."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from puntual.powerbi.measures import all_measures
from puntual.powerbi.model import SemanticModel, SourceSettings, build_model, tag
from puntual.powerbi.report import build_pages, report_files
from puntual.powerbi.semantics import Semantics
from puntual.powerbi.tmdl import write
from puntual.warehouse.catalog import TableSpec

NAME = "Puntual"
MODEL_FOLDER, REPORT_FOLDER = f"{NAME}.SemanticModel", f"{NAME}.Report"
_HOST = "https://developer.microsoft.com/json-schemas/fabric"
VALIDATION = "validation.json"


def build_project(
    tables: Mapping[str, TableSpec], semantics: Semantics, source: SourceSettings, institution: str
) -> tuple[SemanticModel, dict[str, str]]:
    """The model as it is meant, and every file of the project: path to text."""
    model = build_model(tables, semantics, source)
    measures = all_measures(semantics)
    contents: dict[str, Any] = {
        f"{NAME}.pbip": {
            "$schema": f"{_HOST}/pbip/pbipProperties/1.0.0/schema.json",
            "version": "1.0",
            "artifacts": [{"report": {"path": REPORT_FOLDER}}],
            "settings": {"enableAutoRecovery": True},
        },
        f"{NAME}.pbids": _pbids(source),
        f"{MODEL_FOLDER}/.platform": _platform("SemanticModel", institution),
        f"{MODEL_FOLDER}/definition.pbism": {
            "$schema": f"{_HOST}/item/semanticModel/definitionProperties/1.0.0/schema.json",
            "version": "4.2",
            "settings": {},
        },
        f"{REPORT_FOLDER}/.platform": _platform("Report", institution),
        f"{REPORT_FOLDER}/definition.pbir": {
            "$schema": f"{_HOST}/item/report/definitionProperties/2.0.0/schema.json",
            "version": "4.0",
            "datasetReference": {"byPath": {"path": f"../{MODEL_FOLDER}"}},
        },
    }
    for path, content in report_files(build_pages(measures), measures, institution).items():
        contents[f"{REPORT_FOLDER}/{path}"] = content
    files = {path: json.dumps(content, ensure_ascii=False, indent=2) + "\n" for path, content in contents.items()}
    files |= {f"{MODEL_FOLDER}/definition/{path}": write(nodes) for path, nodes in model.files.items()}
    return model, dict(sorted(files.items()))


def write_project(files: Mapping[str, str], folder: Path) -> list[Path]:
    """Write the project into ``folder``; what an older one left in the model and the report goes."""
    for item in (MODEL_FOLDER, REPORT_FOLDER):
        shutil.rmtree(folder / item, ignore_errors=True)
    written = []
    for relative, text in files.items():
        path = folder / relative
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode("utf-8"))
        written.append(path)
    return written


def _platform(kind: str, institution: str) -> dict[str, Any]:
    return {
        "$schema": f"{_HOST}/gitIntegration/platformProperties/2.0.0/schema.json",
        "metadata": {"type": kind, "displayName": f"{NAME} {institution}"},
        "config": {"version": "2.0", "logicalId": tag("platform", institution, kind)},
    }


def _pbids(source: SourceSettings) -> dict[str, Any]:
    """A connection for whoever would rather build a report of their own."""
    if source.source == "postgres":
        details = {"protocol": "postgresql", "address": {"server": source.server, "database": source.database}}
    else:
        details = {"protocol": "folder", "address": {"path": source.folder}}
    return {"version": "0.1", "connections": [{"details": details, "mode": "Import"}]}
