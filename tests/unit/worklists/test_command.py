"""``puntual worklist`` at the terminal: what it says and with which exit code it leaves."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from puntual import clock
from puntual.worklists_cli import app
from tests.unit.worklists.conftest import NOW, Fill, call_lines, promise


@pytest.fixture(autouse=True)
def evening_of_the_list(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "now_utc", lambda: NOW)
    monkeypatch.setattr(clock, "today", lambda _: date(2026, 6, 30))
    monkeypatch.setattr("puntual.console._out._width", 200)


def typed(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(one) for one in arguments])


def test_an_import_says_what_came_in_and_what_was_not_worked(home: Path, fill: Fill) -> None:
    first, second = call_lines(home)[:2]
    path = fill({first: promise(), second: {"outcome": "No gestionado"}})
    dry = typed("import", home, path, "--dry-run")
    assert dry.exit_code == 0 and "entrarían 2 gestiones nuevas" in dry.stdout
    assert "Todavía no se importó ninguna lista." in typed("list", home).stdout
    done = typed("import", home, path, "--by", "ana")
    assert done.exit_code == 0 and "2 gestiones nuevas, 0 corregidas" in done.stdout
    assert "1 marcadas «No gestionado»" in done.stdout and "puntual run" in done.stdout
    again = typed("import", home, path)
    assert again.exit_code == 0 and "ya se importó el 2026-06-30 23:00 UTC" in again.stdout
    listed = " ".join(typed("list", home).stdout.split())
    assert "ana" in listed and "2026-06-30-g0" in listed and "2 nuevas" in listed and "entregada" in listed


def test_a_refused_file_leaves_with_1_and_shows_row_column_and_what_to_do(home: Path, fill: Fill) -> None:
    first, second = call_lines(home)[:2]
    path = fill({first: promise(), second: promise(amount=None)})
    refused = typed("import", home, path)
    said = " ".join(refused.stdout.split())
    assert refused.exit_code == 1 and f"│ {second} │ Monto de la promesa │ Hay promesa sin monto." in said
    assert "no se importó nada" in refused.stderr and not (home / "operations.db").exists()
    taken = typed("import", home, path, "--accept-good")
    assert taken.exit_code == 0 and "g0_rejected.csv" in taken.stdout and "1 gestiones nuevas" in taken.stdout
