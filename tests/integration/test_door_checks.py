"""What the runner's log says of the door: which table passed, which one stopped the run, and with what counts."""

from __future__ import annotations

import shutil
from pathlib import Path

import dagster as dg
import pandas as pd
import pytest

from pipelines.graph import build_defs
from pipelines.run import run_day
from pipelines.steps.landing import TABLES
from puntual.errors import PuntualError
from puntual.homes import prepare_dagster
from puntual.landing.outcome import LandingRefusedError
from puntual.paths import Home
from puntual.settings import load_settings
from puntual.warehouse import Warehouse


def delivered(home: Home, table: str) -> Path:
    """The one file of the table."""
    (path,) = (home.root / "landing").glob(f"{table}.*")
    return path


@pytest.fixture
def home(demo_home, tmp_path) -> Home:
    """A cooperative before its first run, the caller's own; no file of message receipts."""
    shutil.copytree(demo_home, tmp_path / "home")
    place = Home(tmp_path / "home")
    delivered(place, "message_events").unlink()
    prepare_dagster(place)
    return place


def take_in(home: Home, as_of):
    """Run the landing step alone; its result and the check evaluations that the instance keeps, by table."""
    job = build_defs(home.root).resolve_job_def("daily_refresh")
    with dg.DagsterInstance.from_config(str(home.dagster)) as instance:
        result = job.execute_in_process(
            instance=instance,
            partition_key=as_of.isoformat(),
            asset_selection=[dg.AssetKey(["raw", table]) for table in TABLES],
            raise_on_error=False,
        )
        entries = instance.all_logs(result.run_id, of_type=dg.DagsterEventType.ASSET_CHECK_EVALUATION)
    checks = [entry.dagster_event.asset_check_evaluation_data for entry in entries]
    return result, {check.asset_key.path[-1]: check for check in checks}


def values(check) -> dict:
    return {name: entry.value for name, entry in check.metadata.items()}


def spoil_payments(home: Home, share: float) -> int:
    """Make orphans of the first payments; how many."""
    path = delivered(home, "payments")
    payments = pd.read_parquet(path)
    spoilt = int(len(payments) * share)
    payments.loc[: spoilt - 1, "loan_id"] = "nobody's"
    payments.to_parquet(path, index=False)
    return spoilt


def raw_counts(home: Home) -> dict[str, int]:
    """Rows of every table of raw."""
    warehouse = Warehouse.open(load_settings(home).warehouse.url, home.root)
    return {table: int(warehouse.read(f"select count(*) as n from raw.{table}")["n"][0]) for table in TABLES}


def test_a_delivered_table_passes_with_the_counts_of_the_door(home, as_of):
    spoilt = spoil_payments(home, 0.005)
    result, checks = take_in(home, as_of)
    assert result.success
    assert set(checks) == set(TABLES)
    assert all(check.passed for check in checks.values())
    found = values(checks["payments"])
    assert found["delivered"] is True
    # The demo has a few bad rows of its own.
    assert found["rejected"] >= found["reasons"]["orphan:loan_id"] >= spoilt > 0
    assert found["expectations"] > found["unsuccessful_expectations"] >= 1
    assert Path(found["report"]).is_file()
    assert values(checks["customers"])["unsuccessful_expectations"] == 0
    assert values(checks["message_events"])["delivered"] is False


@pytest.mark.long
def test_a_table_with_too_many_bad_rows_fails_its_check_and_stops_the_run(home, as_of):
    take_in(home, as_of)
    before = raw_counts(home)
    spoilt = spoil_payments(home, 0.2)
    result, checks = take_in(home, as_of)
    assert not result.success
    assert set(checks) == {"payments"}
    check = checks["payments"]
    assert not check.passed and check.severity == dg.AssetCheckSeverity.ERROR
    found = values(check)
    assert found["rejected"] >= found["reasons"]["orphan:loan_id"] >= spoilt
    assert found["unsuccessful_expectations"] >= 1
    assert Path(found["report"]).is_file()
    assert "rows break the contract" in found["problems"][0]
    assert not result.get_asset_materialization_events()
    assert raw_counts(home) == before
    with pytest.raises(PuntualError, match=r"payments: [\d,]+ of [\d,]+ rows break the contract") as caught:
        run_day(home, as_of)
    assert "Report: " in str(caught.value)


def test_every_table_that_stops_the_run_fails_its_check(home, as_of):
    delivered(home, "customers").unlink()
    delivered(home, "payments").write_bytes(b"")
    result, checks = take_in(home, as_of)
    assert not result.success
    assert {table for table, check in checks.items() if not check.passed} == set(checks) == {"customers", "payments"}
    assert "the table is required" in checks["customers"].description
    assert "the file is empty" in checks["payments"].description
    # Dagster's own wrapper comes first; under it is the door's error with its text.
    error = result.failure_data_for_node("landing").error.cause
    assert error.cls_name == LandingRefusedError.__name__
    assert "The landing was not taken in; nothing was changed." in error.message
