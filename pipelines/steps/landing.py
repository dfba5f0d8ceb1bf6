"""The door: takes the institution's files in and says, table by table, what came of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pipelines.day import Day
from puntual import clock
from puntual.contracts.schema import load_contract
from puntual.landing.load import load_landing

TABLES = tuple(load_contract())


@dataclass(frozen=True)
class TableOutcome:
    """What the door did with one table; ``metadata`` has its counts."""

    table: str
    within_limit: bool
    metadata: dict[str, Any]


def take_in(day: Day) -> Iterator[TableOutcome]:
    """Load the landing folder into raw; one outcome per contract table, delivered or not.

    Raises:
        LandingError: a required table is absent, a file cannot be read, or too many rows were rejected; raw stays.
    """
    report = load_landing(
        day.home.root,
        day.settings.landing_path(day.home),
        day.warehouse,
        as_of=day.as_of,
        received_on=day.received_on,
        run_id=day.run_id,
        timezone=day.settings.institution.timezone,
        max_rejected_share=day.settings.landing.max_rejected_share,
        loaded_at=clock.now_utc(),
    )
    for table in TABLES:
        counts = report.tables.get(table)
        metadata = counts.as_metadata() if counts is not None else {"delivered": False}
        yield TableOutcome(table, True, {**metadata, "report": str(report.html_path)})
