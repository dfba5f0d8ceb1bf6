"""Training alone, parts of the graph, two runners at once, and errors told in one sentence."""

from __future__ import annotations

import shutil
import uuid
from datetime import date

import dagster as dg
import pytest

from models.registry import ModelRegistry
from pipelines.graph import build_defs
from pipelines.run import run_day
from puntual.errors import PuntualError, UsageError
from puntual.lock import exclusive, holder
from puntual.paths import Home
from puntual.settings import load_settings
from puntual.snapshot import Snapshot


@pytest.fixture
def home(finished_home, tmp_path) -> Home:
    shutil.copytree(finished_home, tmp_path / "home", symlinks=True)
    return Home(tmp_path / "home")


@pytest.mark.slow
def test_training_alone_registers_models_and_publishes_nothing(home, as_of):
    before = Snapshot.current(home.root)
    result = run_day(home, as_of, force_training=True, until="models")
    assert result.metadata["ml/default_risk_model"]["status"] == "trained and promoted"
    assert "serving/snapshot" not in result.metadata
    assert Snapshot.current(home.root).folder == before.folder
    assert ModelRegistry(home.models).champion("default_risk") is not None


@pytest.mark.long
def test_some_tables_of_the_project_can_be_built_alone(home, as_of):
    with dg.DagsterInstance.ephemeral() as instance:
        outcome = (
            build_defs(home.root)
            .resolve_job_def("daily_refresh")
            .execute_in_process(
                instance=instance,
                partition_key=as_of.isoformat(),
                asset_selection=[dg.AssetKey(["marts", "fct_promises"])],
                raise_on_error=False,
            )
        )
    assert outcome.success
    built = {event.asset_key.to_user_string() for event in outcome.get_asset_materialization_events()}
    assert built == {"marts/fct_promises"}


def test_a_run_of_the_ui_does_not_enter_a_home_that_is_at_work(home, as_of):
    lock = home.lock_file.open("a+", encoding="utf-8")
    import fcntl

    fcntl.flock(lock, fcntl.LOCK_EX)
    try:
        assert holder(home) == "unknown"
        with dg.DagsterInstance.ephemeral() as instance:
            outcome = (
                build_defs(home.root)
                .resolve_job_def("daily_refresh")
                .execute_in_process(
                    instance=instance, partition_key=as_of.isoformat(), run_id=str(uuid.uuid4()), raise_on_error=False
                )
            )
        assert not outcome.success
        with pytest.raises(PuntualError, match="Another run is working"):
            run_day(home, as_of)
    finally:
        lock.close()
    assert holder(home) is None
    with exclusive(home), exclusive(home):
        assert holder(home) is not None


def test_a_step_of_another_date_does_not_use_this_ones_tables(home):
    from pipelines.day import Day

    with pytest.raises(PuntualError, match=r"stands at 2026-06-30, not at 2026-06-29"):
        Day.of(home.root, date(2026, 6, 29), "x").require_built()


def test_a_warehouse_in_other_hands_is_told_in_one_sentence(home, as_of):
    import subprocess
    import sys

    path = home.root / "warehouse" / "puntual.duckdb"
    code = f"import duckdb,sys; c=duckdb.connect({str(path)!r}); print('held', flush=True); sys.stdin.read()"
    other = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert other.stdout.readline().strip() == b"held"
        with pytest.raises(PuntualError, match="close it") as error:
            run_day(home, as_of)
        assert "Traceback" not in str(error.value)
    finally:
        other.communicate(b"")


@pytest.mark.long
def test_a_server_that_does_not_answer_is_told_in_one_sentence(home, as_of):
    file = home.settings_file
    text = file.read_text(encoding="utf-8")
    url = "postgresql://puntual:secret@127.0.0.1:1/nowhere"
    file.write_text(text.replace("duckdb:///warehouse/puntual.duckdb", url), encoding="utf-8")
    assert load_settings(home).warehouse.url == url
    with pytest.raises(PuntualError, match="does not answer") as error:
        run_day(home, as_of)
    assert "secret" not in str(error.value)
    assert "Traceback" not in str(error.value)


def test_a_date_out_of_range_is_a_usage_error(home):
    with pytest.raises(UsageError, match="choose one from 1990-01-01"):
        run_day(home, date(2199, 1, 1))


@pytest.mark.slow
def test_the_defect_of_a_step_is_kept_for_us_and_short_for_the_person(home, as_of, monkeypatch):
    def broken(day):
        raise ZeroDivisionError("division by zero")

    monkeypatch.setattr("pipelines.assets.deciding.decide_day", broken)
    before = Snapshot.current(home.root).folder
    with pytest.raises(PuntualError, match=r"failed by a defect of ours: .*division by zero") as error:
        run_day(home, as_of)
    assert "Traceback" not in str(error.value)
    assert "ZeroDivisionError" in (home.dagster / "defect.txt").read_text(encoding="utf-8")
    assert Snapshot.current(home.root).folder == before
