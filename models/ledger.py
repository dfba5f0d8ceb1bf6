"""Where the registry's decisions are kept: an MLflow store, by default one SQLite file in the home.

Writing always goes through MLflow's own client, so that a data scientist finds every model, run and alias with the
tools that she knows. Importing MLflow costs more than a second, and most days only ask which model is the champion: of
a SQLite file whose schema we know, those few rows are read directly. Both ways give the same rows, and a test says so.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
import sqlite3
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, quote, unquote, urlsplit

from puntual.errors import ModelError
from puntual.settings import set_environment

if TYPE_CHECKING:
    from mlflow import MlflowClient

KNOWN_SCHEMAS = frozenset({"dc11669786a5"})
"""Revisions of MLflow's tables that are read directly; any other is read through MLflow."""
CHAMPION_ALIAS = "champion"
DATABASE = "registry.db"
EXPERIMENT = "puntual"
NO_ARTIFACTS = "mlflow-artifacts:/"
"""Written where MLflow would else write a path of this machine. The files of a model lie in the home, not there."""
MOST_METRICS, MOST_PARAMETERS = 1000, 100
_UNSAFE = re.compile(r"[^A-Za-z0-9_./-]+")


@dataclass(frozen=True)
class Entry:
    """One model version as MLflow keeps it: its number there, when it was made, whether it is champion, its tags."""

    model: str
    number: int
    created: int
    is_champion: bool
    tags: dict[str, str]


@dataclass(frozen=True)
class Run:
    """What is logged beside a version, for people who compare models in MLflow."""

    name: str
    parameters: Mapping[str, str]
    metrics: Mapping[str, float]
    tags: Mapping[str, str]


class Ledger:
    """Model versions, their tags and the alias of the champion, in the store at ``uri``.

    Args:
        folder: where the SQLite file is when ``uri`` is empty.
        uri: ``""``, or the address of an MLflow server (http, https) or of its database (postgresql).
        prefix: put before every model's name, for several institutions on one server.
    """

    def __init__(self, folder: Path, uri: str = "", prefix: str = "") -> None:
        self.file = folder / DATABASE
        self.uri = uri
        self.prefix = prefix

    @property
    def shown(self) -> str:
        """Where it is, without a password."""
        return self._hidden(self.uri) if self.uri else str(self.file)

    def _hidden(self, text: str) -> str:
        parts = urlsplit(self.uri)
        for secret in (parts.password, *parse_qs(parts.query).get("password", [])):
            for written in (secret, secret and quote(secret), secret and unquote(secret)):
                text = text.replace(written, "***") if written else text
        return text

    def entries(self) -> list[Entry]:
        """Every version of every model, in the order in which they were registered."""
        if not self.uri:
            if not self.file.exists():
                return []
            direct = self._read_directly()
            if direct is not None:
                return _in_order(direct)
        return _in_order(self._read_through_mlflow())

    def add(self, model: str, tags: Mapping[str, str], run: Run) -> None:
        """One more version of a model, with a run that holds its numbers."""
        with self._told():
            client, name = self._client, self.prefix + model
            if not any(found.name == name for found in client.search_registered_models(f"name='{name}'")):
                client.create_registered_model(name)
            client.create_model_version(
                name, source=f"puntual:{model}/{tags['version']}", run_id=self._logged(run), tags=dict(tags)
            )

    def tag(self, entry: Entry, tags: Mapping[str, str | None]) -> None:
        """Set tags of a version, one after the other; None takes one away. What is as wished already is left alone."""
        with self._told():
            name, number = self.prefix + entry.model, str(entry.number)
            for key, value in tags.items():
                if value is not None and entry.tags.get(key) != value:
                    self._client.set_model_version_tag(name, number, key, value)
                elif value is None and key in entry.tags:
                    self._client.delete_model_version_tag(name, number, key)

    def choose(self, entry: Entry) -> None:
        """Let the alias of the champion point to this version: one step, done or not."""
        with self._told():
            self._client.set_registered_model_alias(self.prefix + entry.model, CHAMPION_ALIAS, str(entry.number))

    # --- reading -------------------------------------------------------------------------------------------------

    def _read_directly(self) -> list[Entry] | None:
        try:
            with contextlib.closing(sqlite3.connect(f"file:{quote(str(self.file))}?mode=rw", uri=True)) as database:
                revision = database.execute("select version_num from alembic_version").fetchone()
                if revision is None or revision[0] not in KNOWN_SCHEMAS:
                    return None
                versions = database.execute(
                    "select v.name, v.version, v.creation_time, a.alias is not null from model_versions v"
                    " left join registered_model_aliases a on a.name = v.name and a.version = v.version"
                    " and a.workspace = v.workspace and a.alias = ?"
                    " where v.workspace = 'default' and v.current_stage <> 'Deleted_Internal'",
                    [CHAMPION_ALIAS],
                ).fetchall()
                tags: dict[tuple[str, int], dict[str, str]] = {}
                for name, version, key, value in database.execute(
                    "select name, version, key, value from model_version_tags where workspace = 'default'"
                ):
                    tags.setdefault((name, version), {})[key] = value
        except sqlite3.Error as error:
            raise ModelError(
                f"{self.file} is not a registry of models ({error}); restore it from a backup or train again."
            ) from error
        return [
            Entry(name.removeprefix(self.prefix), number, created, bool(is_champion), tags.get((name, number), {}))
            for name, number, created, is_champion in versions
            if name.startswith(self.prefix)
        ]

    def _read_through_mlflow(self) -> list[Entry]:
        with self._told():
            champions: dict[str, str] = {}
            found: list[Any] = []
            token: str | None = None
            while True:
                page = self._client.search_registered_models(max_results=1000, page_token=token)
                for model in page:
                    champions[model.name] = str(model.aliases.get(CHAMPION_ALIAS, ""))
                token = page.token
                if not token:
                    break
            while True:
                versions = self._client.search_model_versions(max_results=1000, page_token=token)
                found += versions
                token = versions.token
                if not token:
                    break
            return [
                Entry(
                    one.name.removeprefix(self.prefix),
                    int(one.version),
                    one.creation_timestamp,
                    champions.get(one.name) == str(one.version),
                    dict(one.tags),
                )
                for one in found
                if one.name.startswith(self.prefix)
            ]

    # --- MLflow --------------------------------------------------------------------------------------------------

    @cached_property
    def _client(self) -> MlflowClient:
        address = self.uri
        if not address:
            if not self.file.exists():
                self._create()
            address = _sqlite(self.file)
        return _mlflow()(tracking_uri=address, registry_uri=address)

    def _create(self) -> None:
        """MLflow's tables, made in a file beside and moved into place: a crash leaves no half-made database."""
        _mlflow()
        from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

        self.file.parent.mkdir(parents=True, exist_ok=True)
        new = self.file.with_name(f".{self.file.name}.{os.getpid()}.new")
        new.unlink(missing_ok=True)
        store = SqlAlchemyStore(_sqlite(new), NO_ARTIFACTS)
        store.engine.dispose()
        new.replace(self.file)

    def _logged(self, run: Run) -> str:
        """The identity of the run with this name, logged in full; one that a crash cut short is finished."""
        from mlflow.entities import Metric, Param, RunTag

        client = self._client
        experiment = client.get_experiment_by_name(self.prefix + EXPERIMENT)
        if experiment is None:
            place = None if self.uri.startswith("http") else NO_ARTIFACTS
            identity = client.create_experiment(self.prefix + EXPERIMENT, artifact_location=place)
        else:
            identity = experiment.experiment_id
        before = client.search_runs([identity], f"attributes.run_name = '{run.name}'", max_results=1)
        at = before[0] if before else client.create_run(identity, run_name=run.name)
        when = at.info.start_time
        metrics = [Metric(_key(key), value, when, 0) for key, value in run.metrics.items()][:MOST_METRICS]
        parameters = [Param(_key(key), value) for key, value in run.parameters.items()]
        client.log_batch(at.info.run_id, metrics=metrics, tags=[RunTag(k, v) for k, v in run.tags.items()])
        for first in range(0, len(parameters), MOST_PARAMETERS):
            client.log_batch(at.info.run_id, params=parameters[first : first + MOST_PARAMETERS])
        client.set_terminated(at.info.run_id)
        return at.info.run_id

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        """Problems of the store as one sentence that says where it is; never with its password."""
        try:
            yield
        except ModelError:
            raise
        except Exception as error:  # MLflow lets through those of SQLAlchemy, of requests and of the drivers
            reason = self._hidden(str(error))
            cause = error if reason == str(error) else None
            raise ModelError(
                f"the registry of models at {self.shown} cannot be used ({reason}); check `registry.uri` in "
                "puntual.yaml, the server and the rights of its login."
            ) from cause


def _in_order(entries: list[Entry]) -> list[Entry]:
    return sorted(entries, key=lambda one: (one.created, one.model, one.number))


def _sqlite(file: Path) -> str:
    return f"sqlite:///{file.resolve()}"


def _key(name: str) -> str:
    return _UNSAFE.sub("_", name)[:250]


def _mlflow() -> type[MlflowClient]:
    """MLflow's client: imported when first used, without telemetry, and silent but for warnings."""
    set_environment({"MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "1", "MLFLOW_LOGGING_LEVEL": "WARNING"})
    from mlflow import MlflowClient

    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.WARNING)
    return MlflowClient
