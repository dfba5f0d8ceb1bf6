"""``puntual powerbi`` as it is typed: a project beside the home's data, a report of its checks, and an exit code."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from puntual.cli import app
from puntual.errors import UsageError
from puntual.homes import create_home
from puntual.paths import Home
from puntual.powerbi.command import source_settings, write_home_project
from puntual.settings import load_settings


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return create_home(
        tmp_path / "coop", name="Coop", country="EC", timezone="America/Guayaquil", currency="USD", language="es"
    )


def test_a_project_is_written_and_its_checks_beside_it(home: Home) -> None:
    done = CliRunner().invoke(app, ["powerbi", str(home.root)])
    assert done.exit_code == 0, done.output
    assert "Puntual.pbip" in done.output
    folder = home.root / "powerbi"
    assert {"Puntual.pbip", "Puntual.pbids", "Puntual.SemanticModel", "Puntual.Report", "validation.json"} == {
        path.name for path in folder.iterdir()
    }
    report = json.loads((folder / "validation.json").read_text(encoding="utf-8"))
    assert report["is_sound"] is True
    assert report["own_checks"] == []
    assert report["measures"]["compared"] is None, "nothing is published"


def test_twice_is_the_same(home: Home, tmp_path: Path) -> None:
    def bytes_of(folder: Path) -> dict[str, bytes]:
        write_home_project(home, load_settings(home), out=folder)
        return {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}

    assert bytes_of(tmp_path / "one") == bytes_of(tmp_path / "two") == bytes_of(tmp_path / "one")


def test_own_pages_are_refused_and_force_replaces_them(home: Home) -> None:
    assert CliRunner().invoke(app, ["powerbi", str(home.root)]).exit_code == 0
    page = home.root / "powerbi" / "Puntual.Report" / "definition" / "pages" / "mine" / "page.json"
    page.parent.mkdir()
    page.write_text("{}", encoding="utf-8")
    refused = CliRunner().invoke(app, ["powerbi", str(home.root), "--folder", "C:\\puntual\\bi\\"])
    assert isinstance(refused.exception, UsageError)
    assert "pages/mine/page.json" in str(refused.exception)
    assert page.read_text(encoding="utf-8") == "{}"
    done = CliRunner().invoke(app, ["powerbi", str(home.root), "--folder", "C:\\puntual\\bi\\", "--force"])
    assert done.exit_code == 0, done.output
    assert not page.exists()
    model = home.root / "powerbi" / "Puntual.SemanticModel" / "definition" / "expressions.tmdl"
    assert '"C:\\puntual\\bi" meta' in model.read_text(encoding="utf-8")


def test_the_parameters_know_the_warehouse_and_never_its_password(home: Home) -> None:
    text = home.settings_file.read_text(encoding="utf-8")
    url = "postgresql://puntual:s3cret@db.coop.ec:5433/cobros"
    home.settings_file.write_text(text.replace("duckdb:///warehouse/puntual.duckdb", url), encoding="utf-8")
    source = source_settings(home, load_settings(home), None)
    assert (source.source, source.server, source.database) == ("postgres", "db.coop.ec:5433", "cobros")
    written = write_home_project(home, load_settings(home))
    assert not [path for path in written.folder.rglob("*") if path.is_file() and b"s3cret" in path.read_bytes()]


@pytest.mark.parametrize(
    ("url", "server", "database"),
    [
        ("postgresql://user@/db?host=db1&port=5433", "db1:5433", "db"),
        ("postgresql://user@/db?host=/var/run/postgresql", "localhost:5432", "db"),
        ("postgresql://user@db1:5433,db2:5434/db", "db1:5433", "db"),
        ("postgresql://user@db1?dbname=cobros%20sur", "db1:5432", "cobros sur"),
        ("postgresql://user@db1", "db1:5432", "user"),
    ],
)
def test_the_server_is_where_the_run_itself_connects(home: Home, url: str, server: str, database: str) -> None:
    text = home.settings_file.read_text(encoding="utf-8")
    home.settings_file.write_text(text.replace("duckdb:///warehouse/puntual.duckdb", url), encoding="utf-8")
    source = source_settings(home, load_settings(home), None)
    assert (source.server, source.database) == (server, database)


def test_postgres_is_refused_where_there_is_none(home: Home) -> None:
    with pytest.raises(UsageError, match=r"warehouse\.url"):
        write_home_project(home, load_settings(home), source="postgres")


def test_a_wrong_source_or_folder_is_a_usage_error(home: Home, tmp_path: Path) -> None:
    for arguments in (["--source", "excel"], ["--schemas", str(tmp_path / "absent")]):
        done = CliRunner().invoke(app, ["powerbi", str(home.root), *arguments])
        assert isinstance(done.exception, UsageError)
        assert done.exception.exit_code == 2


def test_a_folder_that_is_no_home_is_refused(tmp_path: Path) -> None:
    assert isinstance(CliRunner().invoke(app, ["powerbi", str(tmp_path)]).exception, UsageError)
