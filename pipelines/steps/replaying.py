"""A past day decided again from its archive, in a folder of its own; nothing of the home is read but its log."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

from models.registry import ModelRegistry
from pipelines.day import Day
from pipelines.steps.decided import read_outcome, store_outcome
from pipelines.steps.publishing import write_decision
from puntual.audit.chain import AuditLog, Entry, as_archived
from puntual.audit.inputs import load
from puntual.audit.recorded import RememberedWarehouse
from puntual.decision.decide import decide
from puntual.paths import Home
from puntual.settings import Settings, WarehouseSettings
from puntual.warehouse import Warehouse


def replay(log: AuditLog, entry: Entry, folder: Path) -> Path:
    """Make the decision and the lists of an entry again in ``folder``; returns where they lie as in a snapshot.

    What is covered: everything from the scores and features on (rules, value, capacity, draws, assignment, lists and
    campaigns). The scores are inputs; which models made them the log says by version.

    Raises:
        AuditError: an input is missing or altered, or this release reads what the archive does not have.
    """
    archive, inputs = log.archive(), log.inputs(entry)
    with as_archived(entry):
        outcome = decide(**load(decide, inputs.decision, archive))
    scratch = Warehouse.open("duckdb:///replay.duckdb", folder)
    store_outcome(scratch, outcome, entry.as_of_date)
    context = log.context(entry)
    for name, piece in inputs.own_files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(archive.read(piece.sha256))
    with as_archived(entry):
        settings = Settings.model_validate(context["settings"] | {"warehouse": WarehouseSettings().model_dump()})
    day = Day(
        home=Home(folder),
        settings=settings,
        warehouse=scratch,
        registry=ModelRegistry(folder / "models"),
        as_of=entry.as_of_date,
        received_on=entry.as_of_date,
        run_id="replay",
    )
    answers = {key: partial(archive.get, frame) for key, frame in inputs.lists.frames.items()}
    remembered = replace(day, warehouse=RememberedWarehouse.of(answers))
    write_decision(remembered, folder / "files", read_outcome(scratch, entry.as_of_date))
    return folder / "files"
