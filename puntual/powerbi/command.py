"""``puntual powerbi``: writes the project of an institution and says, file by file, whether it is sound."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from puntual.errors import PublishError, UsageError
from puntual.paths import Home
from puntual.powerbi.checks import check_project, read_model
from puntual.powerbi.evaluate import Difference, Evaluator, differences, published
from puntual.powerbi.measures import answerable_grains, measure_name
from puntual.powerbi.model import SemanticModel, SourceSettings
from puntual.powerbi.project import VALIDATION, build_project, digest, make_ready, write_project
from puntual.powerbi.schemas import FileVerdict, validate_files
from puntual.powerbi.semantics import Semantics, load_semantics
from puntual.powerbi.star import star_tables
from puntual.settings import Settings
from puntual.warehouse import Warehouse

SourceKind = Literal["parquet", "postgres"]


@dataclass(frozen=True)
class Written:
    """What was written and what was found.

    Attributes:
        folder: the project's folder.
        verdicts: what Microsoft's schemas say, per JSON file.
        problems: what our own checks found; empty when all is well.
        proved: KPIs whose measure was compared with the published long table; None when none is published.
        wrong: where a measure gave another figure.
    """

    folder: Path
    files: int
    verdicts: list[FileVerdict]
    problems: list[str]
    proved: int | None
    wrong: list[Difference]

    @property
    def is_sound(self) -> bool:
        """Whether nothing at all was found."""
        return not self.problems and not self.wrong and not any(verdict.problems for verdict in self.verdicts)


def write_home_project(
    home: Home,
    settings: Settings,
    *,
    out: Path | None = None,
    source: SourceKind | None = None,
    schemas: Path | None = None,
    folder: str | None = None,
    force: bool = False,
) -> Written:
    """Write the Power BI project of ``home`` into ``out`` (its folder ``powerbi`` when left out) and examine it.

    Args:
        home: the institution.
        settings: its settings.
        out: folder of the project.
        source: where Power BI reads from; by the warehouse when left out.
        schemas: folder with Microsoft's JSON schemas; without it only our own checks run.
        folder: the Parquet folder as Power BI sees it; this machine's published folder when left out.
        force: replace files that somebody changed or added since the project was last written.

    Raises:
        UsageError: ``schemas`` is no folder, PostgreSQL is asked for and the warehouse is not there, or the project
            holds somebody's own work; nothing was written.
        ExportError: the project could not be put in place; the one that was there still stands.
    """
    if schemas is not None and not schemas.is_dir():
        raise UsageError(f"--schemas: {schemas} is not a folder. Give the one that holds fabric/…/schema.json.")
    semantics = load_semantics()
    read_from = source_settings(home, settings, source)
    if folder is not None:
        read_from = replace(read_from, folder=folder.rstrip("\\/") or folder)
    _, files = build_project(star_tables(), semantics, read_from, settings.institution.name)
    target = out or home.root / "powerbi"
    make_ready(files, target, force=force)
    problems = check_project(files)
    verdicts = validate_files(files, schemas)
    proved, wrong = prove(home, read_model(files), semantics) if not problems else (None, [])
    written = Written(target, len(files), verdicts, problems, proved, wrong)
    verdict = {**report(written), "sha256": {path: digest(text.encode()) for path, text in files.items()}}
    write_project({**files, VALIDATION: json.dumps(verdict, ensure_ascii=False, indent=2) + "\n"}, target, force=force)
    return written


def source_settings(home: Home, settings: Settings, source: SourceKind | None) -> SourceSettings:
    """The parameters' defaults: the published folder, and the server of the warehouse without user or password."""
    url = settings.warehouse.url
    is_postgres = url.startswith("postgresql://")
    if source == "postgres" and not is_postgres:
        raise UsageError(
            f"--source postgres: the warehouse of {home.root} is {url.split(':')[0]}. Set warehouse.url to PostgreSQL "
            "and run the day, or use --source parquet."
        )
    chosen = source or ("postgres" if is_postgres else "parquet")
    folder = str(home.current / "bi")
    if not is_postgres:
        return SourceSettings(source=chosen, folder=folder)
    parts = Warehouse.open(url, home.root).parameters
    # Power BI connects over the network, to one server: a socket's folder is this machine, of several the first counts.
    host, port = (parts.get(name, "").split(",")[0] for name in ("host", "port"))
    server = f"{'localhost' if not host or host.startswith('/') else host}:{port or 5432}"
    return SourceSettings(source=chosen, folder=folder, server=server, database=parts.get("dbname", parts["user"]))


def prove(home: Home, model: SemanticModel, semantics: Semantics) -> tuple[int | None, list[Difference]]:
    """Compare the measures with the published long table, for the last month; None when no star is published."""
    from puntual.snapshot import Snapshot

    try:
        snapshot = Snapshot.current(home.root)
        for table in (*star_tables(), "fct_kpi"):
            snapshot.table_path(table)
    except PublishError:
        return None, []
    codes, grains = provable(semantics)
    evaluator = Evaluator(model, published(snapshot.folder / "bi"))
    return len(codes), differences(evaluator, codes, grains, periods=("month",), ends_kept=1)


def provable(semantics: Semantics) -> tuple[dict[str, str], dict[str, tuple[str, ...]]]:
    """Every KPI that is on with the name of its measure, and the grains at which the measure can be asked."""
    on = [entry for entry in semantics.catalogue.values() if entry.status == "on"]
    grains: dict[str, tuple[str, ...]] = {
        entry.kpi_code: tuple(entry.grains) if entry.kpi_code in semantics.metrics else answerable_grains(entry)
        for entry in on
    }
    return {entry.kpi_code: measure_name(entry) for entry in on}, grains


def report(written: Written) -> Mapping[str, Any]:
    """The validation report as it lies beside the project."""
    return {
        "is_sound": written.is_sound,
        "files": [
            {
                "file": verdict.file,
                "schema": verdict.schema or None,
                "result": "failed" if verdict.problems else "passed" if verdict.is_checked else "not checked",
                "problems": list(verdict.problems),
            }
            for verdict in written.verdicts
        ],
        "own_checks": written.problems,
        "measures": {
            "compared": written.proved,
            "differences": [str(difference) for difference in written.wrong],
        },
    }
