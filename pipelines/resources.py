"""What assets are given: the institution, and the dbt project on its warehouse."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import dagster as dg

from pipelines.day import Day
from puntual.lock import exclusive
from puntual.paths import Home
from puntual.settings import business_date


class Institution(dg.ConfigurableResource):
    """The institution whose home is ``home``.

    Attributes:
        home: absolute path of the home.
        force_training: train even when the champion is young.
        full_refresh: build every table anew, whatever the last run left.
    """

    home: str
    force_training: bool = False
    full_refresh: bool = False

    @contextmanager
    def yield_for_execution(self, context: dg.InitResourceContext) -> Iterator["Institution"]:  # noqa: ARG002
        """Hold the home for the whole run, whoever started it: command line, schedule, sensor or a person."""
        with exclusive(Home(Path(self.home))):
            yield self

    def day(self, context: dg.AssetExecutionContext) -> Day:
        """The partition's business date, as plain values that know nothing of Dagster."""
        return Day.of(
            Path(self.home),
            business_date(context.partition_key),
            context.run_id,
            force_training=self.force_training,
            full_refresh=self.full_refresh,
        )
