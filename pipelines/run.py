"""Runs one business date in this process and tells an observer about each step."""

from __future__ import annotations

import sqlite3
import time
import uuid
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any, Protocol

import dagster as dg
import sqlalchemy
import sqlalchemy.event
from dagster._core.storage.event_log.sqlite import sqlite_event_log

from pipelines.graph import build_defs
from pipelines.partitions import business_days
from puntual.errors import PuntualError, UsageError
from puntual.homes import prepare_dagster
from puntual.paths import Home
from puntual.settings import load_settings

STEPS = {
    "landing": "Taking the files in",
    "plan": "Planning the day",
    "transform": "Arrears, marts and features (dbt)",
    "control__reconciliation": "Reconciliation with the core",
    "ml__member_willingness": "Willingness to pay of every member",
    "ml__default_risk_model": "Default risk: model",
    "ml__contact_channel_model": "Best channel: model",
    "ml__default_risk_scores": "Default risk: scores",
    "ml__channel_scores": "Best channel: scores",
    "ml__kept_promise_model": "Kept promises: model",
    "ml__promise_scores": "Kept promises: scores",
    "ml__recovery_model": "Expected recovery: model",
    "recovery_scores": "Expected recovery: scores",
    "ml__reach_hours": "Reach by hour",
    "decisions__decisions": "Rules, capacity, decisions",
    "measured__kpi_values": "Measures of models and decisions",
    "report": "KPIs, reports and the star (dbt)",
    "serving__snapshot": "Lists and publication",
}


class Observer(Protocol):
    """Sees the steps of a run as they begin and end."""

    def begin(self, step: str, title: str) -> None:
        """A step has begun."""

    def end(self, step: str, *, succeeded: bool) -> None:
        """A step has ended."""


@dataclass
class RunResult:
    """What a run did.

    Attributes:
        as_of: its business date.
        metadata: what each asset reported, by ``schema/table``.
        seconds: wall time by step.
    """

    as_of: date
    metadata: dict[str, dict[str, Any]] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)


def run_day(
    place: Home,
    as_of: date,
    *,
    force_training: bool = False,
    full_refresh: bool = False,
    until: str = "snapshot",
    progress: Observer | None = None,
) -> RunResult:
    """Run ``as_of`` for the institution in ``place``; ``until`` is ``snapshot`` (the whole day) or ``models``.

    ``full_refresh`` builds every table anew; otherwise only what changed since the last finished run is computed.

    Raises:
        PuntualError: a step failed; the text is the step's own. Nothing was published then.
    """
    settings = load_settings(place)
    if not business_days.has_partition_key(as_of.isoformat()):
        first, last = business_days.get_first_partition_key(), business_days.get_last_partition_key()
        raise UsageError(f"{as_of} is not a business date that can be run; choose one from {first} to {last}.")
    prepare_dagster(place)
    with _without_warnings(), _log_in_the_cache():
        definitions = build_defs(
            place.root, force_training=force_training, full_refresh=full_refresh, settings=settings
        )
        job = definitions.resolve_job_def("daily_refresh" if until == "snapshot" else "model_training")
        result = RunResult(as_of)
        run_id = str(uuid.uuid4())
        with dg.DagsterInstance.from_config(str(place.dagster)) as instance:
            instance.add_event_listener(run_id, _Listener(result, progress))
            outcome = job.execute_in_process(
                instance=instance,
                partition_key=as_of.isoformat(),
                run_id=run_id,
                raise_on_error=False,
                # The log is kept by the instance; the terminal belongs to the progress display.
                run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
            )
        _raise_failure(outcome, place)
        for event in outcome.get_asset_materialization_events():
            materialization = event.step_materialization_data.materialization
            result.metadata[materialization.asset_key.to_user_string()] = {
                name: entry.value for name, entry in materialization.metadata.items()
            }
    return result


def run_days(
    place: Home,
    first: date,
    last: date,
    *,
    begin_day: Callable[[date], Observer] | None = None,
    end_day: Callable[[RunResult], None] | None = None,
) -> list[RunResult]:
    """Run every day from ``first`` to ``last``, both included, oldest first; each publishes its snapshot.

    The newest published date stays the current one. ``begin_day`` gives the observer of a day, ``end_day`` sees the
    result.

    Raises:
        UsageError: the last day is before the first.
        PuntualError: a day failed; the text says which days are done. Nothing after it was run.
    """
    if last < first:
        raise UsageError(f"--to {last} is before --from {first}; give the older day first.")
    done: list[RunResult] = []
    for number in range((last - first).days + 1):
        day = first + timedelta(days=number)
        try:
            done.append(run_day(place, day, progress=begin_day(day) if begin_day else None))
        except PuntualError as error:
            finished = f"{first} to {done[-1].as_of} are done" if done else "no day is done"
            raise PuntualError(
                f"{day} failed; {finished}. When it is put right, go on with --from {day}.\n{error}"
            ) from error
        if end_day is not None:
            end_day(done[-1])
    return done


class _Listener:
    """Turns the instance's events into the observer's."""

    def __init__(self, result: RunResult, progress: Observer | None) -> None:
        self._result, self._progress = result, progress
        self._begun: dict[str, float] = {}

    def __call__(self, entry: Any) -> None:
        event = entry.dagster_event
        if event is None or event.step_key is None:
            return
        step = event.step_key
        if event.event_type == dg.DagsterEventType.STEP_START:
            self._begun[step] = time.perf_counter()
            if self._progress is not None:
                self._progress.begin(step, STEPS.get(step, step))
        elif event.event_type in {dg.DagsterEventType.STEP_SUCCESS, dg.DagsterEventType.STEP_FAILURE}:
            self._result.seconds[step] = time.perf_counter() - self._begun.get(step, time.perf_counter())
            if self._progress is not None:
                self._progress.end(step, succeeded=event.event_type == dg.DagsterEventType.STEP_SUCCESS)


def _raise_failure(outcome: Any, place: Home) -> None:
    if outcome.success:
        return
    for event in outcome.all_events:
        if event.event_type == dg.DagsterEventType.ASSET_CHECK_EVALUATION:
            check = event.asset_check_evaluation_data
            if not check.passed and check.blocking:
                why = {name: entry.value for name, entry in check.metadata.items()}
                if "message" in why:
                    raise PuntualError(str(why["message"]))
                raise PuntualError(f"The exit check {check.check_name} failed; nothing was published. {why}")
    for event in outcome.all_events:
        error = getattr(event.event_specific_data, "error", None) if event.is_failure else None
        if error is None:
            continue
        ours = {cls.__name__ for cls in _all_subclasses(PuntualError)}
        link = error
        while link is not None and link.cls_name not in ours:
            link = link.cause
        if link is not None:
            raise PuntualError(f"{_step_title(event)}: {link.message.split(': ', 1)[-1].strip()}")
        trace = place.dagster / "defect.txt"
        trace.write_text(error.to_string(), encoding="utf-8")
        while error.cause is not None:
            error = error.cause
        what = " ".join(error.message.split())
        raise PuntualError(
            f"{_step_title(event)} failed by a defect of ours: {what}\nSend us {trace}; nothing was published."
        )
    raise PuntualError(f"The run failed; its log is in {place.dagster}. Nothing was published.")


def _step_title(event: Any) -> str:
    return STEPS.get(event.step_key or "", event.step_key or "the run")


def _all_subclasses(cls: type) -> set[type]:
    return {cls}.union(*(_all_subclasses(child) for child in cls.__subclasses__()))


@contextmanager
def _log_in_the_cache() -> Iterator[None]:
    """Let the run's log in SQLite reach the disk when the system sees fit, through connections that are kept.

    Dagster commits every event by itself and opens the file anew for each: a thousand engines and a thousand waits for
    the disk, a minute of a small day. Whoever kills the process loses nothing; a power cut may cost the log of the run,
    never its data.
    """
    engines: dict[str, sqlalchemy.Engine] = {}
    anew = sqlite_event_log.create_engine

    def keep_open(close: bool = True) -> None:
        """Dagster disposes of an engine after each event; ours are disposed of after the run."""

    def kept(url: str, **options: Any) -> sqlalchemy.Engine:
        if url not in engines:
            engines[url] = anew(url, **{**options, "poolclass": sqlalchemy.pool.QueuePool})
            engines[url].dispose = keep_open  # type: ignore[method-assign]
        return engines[url]

    def relax(connection: Any, record: Any) -> None:  # noqa: ARG001 - the signature is SQLAlchemy's
        if isinstance(connection, sqlite3.Connection):
            connection.execute("pragma synchronous = off")

    sqlalchemy.event.listen(sqlalchemy.Engine, "connect", relax)
    # Not public: dagster is pinned, and a run without it is only slower.
    sqlite_event_log.create_engine = kept  # type: ignore[assignment]
    try:
        yield
    finally:
        sqlite_event_log.create_engine = anew
        sqlalchemy.event.remove(sqlalchemy.Engine, "connect", relax)
        for engine in engines.values():
            sqlalchemy.Engine.dispose(engine)


@contextmanager
def _without_warnings() -> Iterator[None]:
    """Deprecation notes of libraries are for us, not for the person at the terminal; tests still see them."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
