"""One business date of one institution: what every step of a run shares. Knows no runner."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

from models.registry import ModelRegistry
from puntual import clock
from puntual.errors import WarehouseError
from puntual.paths import Home
from puntual.settings import Settings, load_settings
from puntual.warehouse import Warehouse


@dataclass(frozen=True)
class Day:
    """The institution, the business date and the places of one run.

    Attributes:
        as_of: the business date; its end is the last moment that counts.
        received_on: the calendar day on which the files were taken in; rows dated after it cannot be true.
        run_id: the run's name in the log, the raw tables and the manifest.
        force_training: train even when the champion is young.
        full_refresh: build every table anew, whatever the last run left.
    """

    home: Home
    settings: Settings
    warehouse: Warehouse
    registry: ModelRegistry
    as_of: date
    received_on: date
    run_id: str
    force_training: bool = field(default=False)
    full_refresh: bool = field(default=False)

    def require_built(self) -> None:
        """Make sure that the warehouse stands at this business date.

        Raises:
            WarehouseError: it was built for another date, for instance by materialising single assets of two dates.
        """
        built = self.warehouse.read_table("control.run_parameters", ["as_of_date"])["as_of_date"]
        found = [value.date() for value in built]
        if found != [self.as_of]:
            shown = ", ".join(day.isoformat() for day in found) or "no date"
            raise WarehouseError(
                f"The warehouse stands at {shown}, not at {self.as_of}; run the whole day: "
                f"puntual run {self.home.root} --as-of {self.as_of}"
            )

    @classmethod
    def of(
        cls, home: Path, as_of: date, run_id: str, *, force_training: bool = False, full_refresh: bool = False
    ) -> Day:
        """The day ``as_of`` of the institution in ``home``, with its settings read and checked."""
        place = Home(home.resolve())
        settings = load_settings(place)
        return cls(
            home=place,
            settings=settings,
            warehouse=Warehouse.open(
                settings.warehouse.url,
                place.root,
                threads=settings.runtime.threads,
                memory_limit_gb=settings.runtime.memory_limit_gb,
            ),
            registry=ModelRegistry(place.models, settings.registry.uri, settings.registry.prefix),
            as_of=as_of,
            received_on=max(as_of, clock.today(settings.institution.timezone)),
            run_id=run_id,
            force_training=force_training,
            full_refresh=full_refresh,
        )
