"""The parsed dbt project survives a killed build and is parsed anew when it must be."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipelines.dbt import Dbt
from puntual.homes import create_home
from puntual.settings import load_settings
from puntual.warehouse import Warehouse


@pytest.fixture
def dbt(tmp_path) -> Dbt:
    home = create_home(
        tmp_path / "home", name="Coop", country="EC", timezone="America/Guayaquil", currency="USD", language="es"
    )
    settings = load_settings(home)
    return Dbt.of(home.root, settings, Warehouse.open(settings.warehouse.url, home.root))


def halve(file: Path) -> None:
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


@pytest.mark.long
def test_what_a_killed_build_left_behind_does_not_stop_the_next_run(dbt):
    before = dbt.manifest()
    halve(dbt.folder / "target" / "manifest.json")
    halve(dbt.folder / "target" / "partial_parse.msgpack")
    assert dbt.manifest() == before
    next(dbt.folder.glob("manifest-*.json")).unlink()
    assert dbt.manifest()["nodes"].keys() == before["nodes"].keys()


def test_other_variables_are_parsed_anew(dbt):
    dbt.manifest()
    other = Dbt(dbt.folder, {**dbt.variables, "tolerance_amount": "0.05"}, dbt.environment)
    other.manifest()
    assert len(list(dbt.folder.glob("manifest-*.json"))) == 1
