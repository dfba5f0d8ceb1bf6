"""dbt inside this process: parsed once per home, built without a second Python, its events as they come.

A child process costs eight seconds a run and its adapter keeps the DuckDB file locked against us. Two modules of
dagster-dbt that are not public are used to turn dbt's events into Dagster's; the version is pinned and a test holds it.
"""

from __future__ import annotations

import hashlib
import json
import queue
import shutil
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from pipelines.day import Day
from puntual.errors import WarehouseError
from puntual.paths import DBT_PROJECT
from puntual.settings import Settings, set_environment
from puntual.warehouse import Warehouse

_RESULT_EVENTS = {"LogSeedResult", "LogModelResult", "LogSnapshotResult", "LogTestResult"}


def dbt_vars(settings: Settings) -> dict[str, Any]:
    """The variables of the dbt project: constant for an institution, so that its parsed form stays valid.

    What changes from day to day (the as-of dates) is data in the schema ``control``.
    """
    return {
        "timezone": settings.institution.timezone,
        "country": settings.institution.country,
        "currency": settings.institution.currency,
        "tolerance_amount": str(settings.arrears.tolerance),
        "allocation_order": list(settings.arrears.allocation_order),
        "response_window_days": settings.decision.response_window_days,
        "due_day_is_past_due": settings.arrears.due_day_is_past_due,
        "promise_grace_days": settings.arrears.promise_grace_days,
        "default_past_due_days": settings.default_risk.past_due_days,
        "default_horizon_days": settings.default_risk.horizon_days,
        "early_past_due_days": settings.default_risk.early_past_due_days,
        "early_horizon_days": settings.default_risk.early_horizon_days,
        "willingness_weeks": settings.willingness.weeks,
        "rating_table": settings.kpis.rating_table,
        "reclassification_reading": settings.kpis.reclassification,
        "cure_horizon_days": settings.kpis.cure_horizon_days,
        "cure_stay_days": settings.kpis.cure_stay_days,
        "redefault_days": settings.kpis.redefault_days,
        "first_payment_days": settings.kpis.first_payment_days,
        "writeoff_average": settings.kpis.writeoff_average,
        "cost_reading": settings.kpis.costs,
        "prepayments": settings.kpis.prepayments,
        "recovery_horizon_days": settings.kpis.recovery_horizon_days,
        "expected_recovery_horizon_days": settings.expected_recovery.horizon_days,
        "promise_tolerance_share": settings.kpis.promise_tolerance_share,
        "message_receipt_days": settings.kpis.message_receipt_days,
        "message_response_hours": settings.kpis.message_response_hours,
        "message_opt_out_days": settings.kpis.message_opt_out_days,
        "working_day_start_hour": settings.kpis.working_day_start_hour,
        "working_day_end_hour": settings.kpis.working_day_end_hour,
        "reconciliation_tolerance": str(settings.reconciliation.amount_tolerance),
        "reconciliation_max_unexplained_share": settings.reconciliation.max_unexplained_share,
        "reconciliation_max_different_share": settings.reconciliation.max_different_share,
        "reconciliation_max_missing_share": settings.reconciliation.max_missing_share,
        "reconciliation_max_age_days": settings.reconciliation.max_age_days,
        "reconciliation_totals_tolerance": _text_or_none(settings.reconciliation.totals_tolerance),
    }


def _text_or_none(value: Decimal | None) -> str | None:
    return None if value is None else str(value)


@dataclass(frozen=True)
class Dbt:
    """The dbt project on one warehouse, with its compiled files inside the home."""

    folder: Path
    variables: dict[str, Any]
    environment: tuple[tuple[str, str], ...]

    @classmethod
    def of(cls, home: Path, settings: Settings, warehouse: Warehouse) -> Dbt:
        """The project for the institution in ``home``."""
        return cls(home / ".dbt", dbt_vars(settings), tuple(sorted(warehouse.dbt_environment().items())))

    @classmethod
    def of_day(cls, day: Day) -> Dbt:
        """The project for the institution of ``day``."""
        return cls.of(day.home.root, day.settings, day.warehouse)

    @property
    def _target(self) -> Path:
        return self.folder / "target"

    def _arguments(self) -> list[str]:
        return [
            "--project-dir", str(DBT_PROJECT),
            "--profiles-dir", str(DBT_PROJECT),
            "--target-path", str(self._target),
            "--log-path", str(self.folder / "logs"),
            "--vars", json.dumps(self.variables, sort_keys=True),
            "--quiet", "--no-version-check", "--no-use-colors",
            # dbt's debug log is a fifth of the time of a small build; what failed is told by the error itself
            "--log-level-file", "info",
        ]  # fmt: skip

    def digest(self) -> str:
        """Of everything that the tables are made by: the project's files, its variables, the warehouse."""
        digest = hashlib.sha256(json.dumps([self.variables, self.environment], sort_keys=True).encode())
        for file in sorted(DBT_PROJECT.rglob("*")):
            if file.is_file() and "target" not in file.relative_to(DBT_PROJECT).parts:
                digest.update(str(file.relative_to(DBT_PROJECT)).encode())
                digest.update(file.read_bytes())
        return digest.hexdigest()

    def manifest(self) -> dict[str, Any]:
        """The parsed project; parsed again only when a file, a variable or the warehouse changed.

        dbt rewrites its own manifest in each build, and a killed build leaves half of it. Ours is a copy that is put in
        place whole, under the digest of what it was parsed from.
        """
        kept = self.folder / f"manifest-{self.digest()[:16]}.json"
        if not kept.exists():
            self.folder.mkdir(parents=True, exist_ok=True)
            for _ in self._invoke(["parse"]):
                pass
            for older in self.folder.glob("manifest-*.json"):
                older.unlink()
            new = kept.with_suffix(".new")
            shutil.copyfile(self._target / "manifest.json", new)
            new.replace(kept)
        return json.loads(kept.read_text(encoding="utf-8"))

    def build(self, selection: Sequence[str] = (), *, full_refresh: bool = False) -> Iterator[dict[str, Any]]:
        """Seeds, models and data tests in order; yields the result event of each node.

        Args:
            full_refresh: build incremental tables anew instead of replacing what changed.
            selection: dbt's own selection arguments; everything when empty. Unit tests are for us, not for a run.

        Raises:
            WarehouseError: a node failed; names the nodes and what they said. Nothing after them was built.
        """
        refresh = ["--full-refresh"] if full_refresh else []
        yield from self._invoke(["build", "--exclude-resource-type", "unit_test", *refresh, *selection])

    def document(self, file: Path) -> Path:
        """Write dbt's own documentation, with lineage and the warehouse's columns, as one page that needs no server.

        Raises:
            WarehouseError: dbt failed; nothing was written.
        """
        for _ in self._invoke(["docs", "generate", "--static"]):
            pass
        file.parent.mkdir(parents=True, exist_ok=True)
        new = file.with_suffix(".new")
        shutil.copyfile(self._target / "static_index.html", new)
        return new.replace(file)

    def _invoke(self, arguments: list[str]) -> Iterator[dict[str, Any]]:
        from dbt.cli.main import dbtRunner
        from google.protobuf.json_format import MessageToDict

        set_environment(dict(self.environment))
        events: queue.Queue[dict[str, Any] | None] = queue.Queue()
        outcome: list[Any] = []

        def keep(event: Any) -> None:
            if event.info.name in _RESULT_EVENTS:
                events.put(
                    MessageToDict(event, preserving_proto_field_name=True, always_print_fields_with_no_presence=True)
                )

        def invoke() -> None:
            try:
                outcome.append(dbtRunner(callbacks=[keep]).invoke([*arguments, *self._arguments()]))
            finally:
                events.put(None)

        worker = threading.Thread(target=invoke, name="dbt")
        worker.start()
        try:
            yield from iter(events.get, None)
        finally:
            worker.join()
            _release_adapters()
        if not outcome or not outcome[0].success:
            raise WarehouseError(_failure_text(arguments[0], outcome[0] if outcome else None))


def _release_adapters() -> None:
    """Close dbt's connections: its DuckDB handle would keep the file locked against the next step."""
    from dbt.adapters.factory import FACTORY

    for adapter in FACTORY.adapters.values():
        if hasattr(adapter.connections, "close_all_connections"):
            adapter.connections.close_all_connections()


def _failure_text(command: str, outcome: Any) -> str:
    if outcome is None:
        return f"dbt {command} died without a result; see the log in HOME/.dbt/logs/dbt.log"
    if outcome.exception is not None:
        return f"dbt {command} failed: {outcome.exception}"
    failed = [
        f"  {result.node.unique_id}: {' '.join(str(result.message).split())}"
        for result in getattr(outcome.result, "results", [])
        if str(result.status) in {"error", "fail"}
    ]
    return "\n".join([f"dbt {command} failed in {len(failed)} node(s):", *failed[:10]])
