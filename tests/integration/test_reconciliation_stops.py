"""The reconciliation in a whole day: what it finds in the demo, what a broken feed of the core brings, and no feed."""

from __future__ import annotations

import shutil
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

import pandas as pd
import pytest

from pipelines.run import run_day
from puntual.errors import PuntualError
from puntual.paths import Home
from puntual.settings import load_settings
from puntual.warehouse import Warehouse


def copied(home: Path, tmp_path: Path) -> Home:
    shutil.copytree(home, tmp_path / "home", symlinks=True)
    return Home(tmp_path / "home")


def warehouse_of(place: Home) -> Warehouse:
    return Warehouse.open(load_settings(place).warehouse.url, place.root)


def test_causes_of_the_demo_are_those_that_were_put_in(finished_home, as_of):
    place = Home(finished_home)
    truth = pd.read_parquet(place.truth / "truth_balances.parquet").set_index("loan_id")["cause"]
    rows = warehouse_of(place).read(
        "select loan_id, cause_code, is_reconciled from marts.fct_loan_reconciliation where is_compared"
    )
    found = rows[~rows["is_reconciled"].astype(bool)].set_index("loan_id")["cause_code"]
    assert found.to_dict() == truth.to_dict()
    totals = warehouse_of(place).read(
        "select branch_id, status_code from reporting.rpt_reconciliation_totals where source_code = 'control_totals'"
    )
    assert set(totals["status_code"]) <= {"equal", "different"}
    assert "*" in set(totals["branch_id"])


def deliver_next(place: Home, balances: pd.DataFrame, newest: pd.DataFrame, day: date) -> None:
    """Put the core's balances of a further day beside those that it gave before."""
    folder = place.root / "landing" / "loan_balances"
    folder.with_suffix(".parquet").unlink()
    folder.mkdir()
    balances.to_parquet(folder / "1.parquet", index=False)
    newest.assign(as_of=day).to_parquet(folder / "2.parquet", index=False)


@pytest.mark.long
def test_a_broken_feed_stops_the_run_and_says_what_to_do(finished_home, as_of, tmp_path):
    place = copied(finished_home, tmp_path)
    before = place.current.resolve()
    balances = pd.read_parquet(place.root / "landing" / "loan_balances.parquet")
    broken = balances.head(round(len(balances) * 0.1)).copy()
    # The core's file of the next month end lost the last digits of every amount.
    for name in ("outstanding_principal", "arrears_amount"):
        broken[name] = broken[name].map(lambda value: (value / 100).quantize(Decimal("0.01")))
    deliver_next(place, balances, pd.concat([balances.iloc[len(broken) :], broken]), as_of)

    with pytest.raises(PuntualError) as stopped:
        run_day(place, as_of + timedelta(days=1))
    message = str(stopped.value)
    assert "too far from the core's own; nothing was decided or published" in message
    assert f"loans compared on {as_of}" in message
    assert "allows 2.0%" in message
    # The other balances are those of the month before: payments since then explain them, and too many differ all the same.
    assert "reconciliation.max_different_share allows 20.0%" in message
    assert "have no balance" not in message
    assert message.count(" here and ") == 2 * 3 * 5
    report = place.reconciliation_reports / (as_of + timedelta(days=1)).isoformat()
    assert str(report) in message
    assert "deliver it again and run the date again" in message
    loans = pd.read_csv(report / "loans.csv", dtype=str)
    assert len(loans[loans["cause_code"] == "unknown"]) > len(broken) // 2
    # Yesterday's snapshot stands, and nothing was decided for the date.
    assert place.current.resolve() == before
    decided = warehouse_of(place).read("select count(*) as n from decisions.decisions where as_of_date > {}", [as_of])
    assert int(decided["n"].iloc[0]) == 0


@pytest.mark.slow
def test_a_file_of_zeros_that_was_cut_off_does_not_explain_itself(finished_home, as_of, tmp_path):
    place = copied(finished_home, tmp_path)
    balances = pd.read_parquet(place.root / "landing" / "loan_balances.parquet")
    zeros = balances.head(round(len(balances) * 0.8)).copy()
    for name in ("outstanding_principal", "arrears_amount"):
        zeros[name] = Decimal("0.00")
    zeros["days_past_due"] = 0
    deliver_next(place, balances, zeros, as_of)

    with pytest.raises(PuntualError) as stopped:
        run_day(place, as_of + timedelta(days=1))
    message = str(stopped.value)
    assert "whatever the cause; reconciliation.max_different_share allows 20.0%. The largest differences:" in message
    assert "active loans" in message
    assert f"have no balance of {as_of}; reconciliation.max_missing_share allows 5.0%." in message
    assert "for no cause that we know" not in message


def test_balances_of_the_last_month_end_are_young_enough(finished_home, as_of):
    from pipelines.day import Day
    from pipelines.steps.reconciling import reconcile_day

    verdict = reconcile_day(Day.of(finished_home, as_of, "test"))
    assert verdict.message == ""
    assert verdict.metadata["status"] == "passed"


@pytest.mark.slow
def test_without_files_of_the_core_the_day_goes_through_and_says_so(demo_home, as_of, tmp_path):
    place = copied(demo_home, tmp_path)
    for name in ("loan_balances", "control_totals"):
        (place.root / "landing" / f"{name}.parquet").unlink()
    result = run_day(place, as_of)
    assert result.metadata["control/reconciliation"] == {
        "status": "not_delivered",
        "told": "The core gave neither loan_balances nor control_totals: nothing was compared.",
    }
    assert place.current.exists()
    assert not place.reconciliation_reports.exists()
    verdict = warehouse_of(place).read("select status_code, compared_count from reporting.rpt_reconciliation")
    assert verdict.to_dict("records") == [{"status_code": "not_delivered", "compared_count": 0}]
