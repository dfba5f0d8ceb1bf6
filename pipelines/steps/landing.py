"""The door: takes the institution's files in and says, table by table, what came of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from pipelines.day import Day
from puntual import clock
from puntual.contracts.schema import load_contract
from puntual.landing.load import load_landing
from puntual.landing.outcome import LandingRefusedError, LandingReport
from puntual.worklists.deliver import deliver_pending
from puntual.worklists.store import OperationsStore

TABLES = tuple(load_contract())


@dataclass(frozen=True)
class TableVerdict:
    """What the door found in one table.

    Attributes:
        problems: why the table stops the run, one sentence each; empty when it was taken in.
        metadata: its counts and where the report is.
    """

    table: str
    problems: tuple[str, ...]
    metadata: dict[str, Any]

    @property
    def passed(self) -> bool:
        """Whether the table may go on; one that is optional and was not delivered may."""
        return not self.problems


def take_in(day: Day) -> Iterator[TableVerdict]:
    """Load the landing folder into raw; one verdict per contract table, delivered or not.

    What filled work lists say and is not in the folder yet is written into it first.
    When the door refuses, raw stays as it was: the verdicts are those of the tables that stopped it, and the error
    follows them.

    Raises:
        LandingError: a required table is absent, a file cannot be read, or too many rows were rejected.
    """
    landing = day.settings.landing_path(day.home)
    deliver_pending(OperationsStore(day.home.operations), landing, day.settings.institution.timezone)
    try:
        report = load_landing(
            day.home.root,
            landing,
            day.warehouse,
            as_of=day.as_of,
            received_on=day.received_on,
            run_id=day.run_id,
            timezone=day.settings.institution.timezone,
            max_rejected_share=day.settings.landing.max_rejected_share,
            loaded_at=clock.now_utc(),
        )
    except LandingRefusedError as refused:
        yield from _verdicts(refused.report, [table for table in TABLES if table in refused.report.refused])
        raise
    yield from _verdicts(report, TABLES)


def _verdicts(report: LandingReport, tables: Sequence[str]) -> Iterator[TableVerdict]:
    refused = report.refused
    for table in tables:
        problems = tuple(refused.get(table, ()))
        metadata: dict[str, Any] = {"report": str(report.html_path), "max_rejected_share": report.max_rejected_share}
        if table in report.tables:
            metadata |= report.tables[table].as_metadata()
        elif not problems:
            metadata["delivered"] = False
        if problems:
            metadata["problems"] = list(problems)
        yield TableVerdict(table, problems, metadata)
