"""The verdict of the reconciliation with the core, which stands between the figures and the decisions."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import pandas as pd

from pipelines.day import Day

_SHOWN_LOANS = 5
_SHOWN_TOTALS = 5
_SMALL_CAUSES = ("rounding", "off_by_one")


@dataclass(frozen=True)
class ReconciliationVerdict:
    """What came of it.

    Attributes:
        message: why the run stops, what to look at and what to do; empty when it goes on.
        metadata: the figures of ``reporting.rpt_reconciliation``, a line in words, and where the report is.
    """

    message: str
    metadata: dict[str, Any]


def reconcile_day(day: Day) -> ReconciliationVerdict:
    """Judge the comparison of the date and write the loans and totals that differ beside the other reports.

    Files: ``reports/reconciliation/<date>/loans.csv`` and ``totals.csv``, made anew in each run; none when the core
    gave neither balances nor totals.

    Raises:
        WarehouseError: the warehouse stands at another date.
    """
    day.require_built()
    with day.warehouse.connection():
        verdict = day.warehouse.read_table("reporting.rpt_reconciliation").iloc[0].to_dict()
        loans = day.warehouse.read(
            "select * from marts.fct_loan_reconciliation where not is_reconciled order by loan_id"
        )
        totals = day.warehouse.read(
            "select * from reporting.rpt_reconciliation_totals where status_code <> 'equal'"
            " order by source_code, branch_id, product_code"
        )
    folder = day.home.reconciliation_reports / day.as_of.isoformat()
    metadata: dict[str, Any] = {"status": verdict["status_code"], "told": _told(verdict)}
    if verdict["status_code"] == "not_delivered":
        return ReconciliationVerdict("", metadata)
    _write(folder, loans=loans, totals=totals)
    metadata |= {
        "report": str(folder),
        "compared": int(verdict["compared_count"]),
        "reconciled": int(verdict["reconciled_count"]),
        "explained": int(verdict["explained_count"]),
        "unexplained": int(verdict["unexplained_count"]),
        "different": int(verdict["different_count"]),
        "missing": int(verdict["balance_missing_count"]),
        "totals": int(verdict["total_count"]),
        "totals_equal": int(verdict["equal_total_count"]),
    }
    if verdict["status_code"] != "stopped":
        return ReconciliationVerdict("", metadata)
    return ReconciliationVerdict(_why_stopped(verdict, loans, totals, folder), metadata)


def _told(verdict: dict[str, Any]) -> str:
    if verdict["status_code"] == "not_delivered":
        return "The core gave neither loan_balances nor control_totals: nothing was compared."
    parts = []
    if verdict["compared_count"]:
        parts.append(
            f"{verdict['reconciled_count']:,} of {verdict['compared_count']:,} loans agree with the core's balances of"
            f" {_day(verdict['balance_date'])}; {verdict['explained_count']:,} differ for a known cause,"
            f" {verdict['unexplained_count']:,} without one."
        )
        parts.append(_different(verdict))
    if not pd.isna(verdict["missing_share"]):
        parts.append(_missing(verdict))
    if verdict["total_count"]:
        parts.append(
            f"{verdict['equal_total_count']:,} of {verdict['total_count']:,} control totals of"
            f" {_day(verdict['totals_date'])} agree to the cent."
        )
    if verdict["is_stale"]:
        parts.append(_stale(verdict))
    return " ".join(parts)


def _different(verdict: dict[str, Any]) -> str:
    return (
        f"{verdict['different_count']:,} of {verdict['compared_count']:,} loans compared on"
        f" {_day(verdict['balance_date'])} ({verdict['different_share']:.1%}) differ by more than rounding or one day,"
        f" whatever the cause; reconciliation.max_different_share allows {verdict['allowed_different_share']:.1%}."
    )


def _missing(verdict: dict[str, Any]) -> str:
    return (
        f"{verdict['balance_missing_count']:,} of {verdict['active_count']:,} active loans"
        f" ({verdict['missing_share']:.1%}) have no balance of {_day(verdict['balance_date'])};"
        f" reconciliation.max_missing_share allows {verdict['allowed_missing_share']:.1%}."
    )


def _stale(verdict: dict[str, Any]) -> str:
    limit = int(verdict["allowed_age_days"])
    old = [
        f"{name} of {_day(verdict[f'{kind}_date'])} ({int(verdict[f'{kind}_age_days'])} days before the run's date)"
        for name, kind in (("balances", "balance"), ("control totals", "totals"))
        if not pd.isna(verdict[f"{kind}_age_days"]) and verdict[f"{kind}_age_days"] > limit
    ]
    return (
        f"The core's newest figures are stale: {' and '.join(old)}; reconciliation.max_age_days allows {limit}."
        " They are reported and stop nothing: deliver newer ones."
    )


def _why_stopped(verdict: dict[str, Any], loans: pd.DataFrame, totals: pd.DataFrame, folder: Path) -> str:
    lines = ["Our figures are too far from the core's own; nothing was decided or published."]
    if verdict["is_share_broken"]:
        lines.append(
            f"{verdict['unexplained_count']:,} of {verdict['compared_count']:,} loans compared on"
            f" {_day(verdict['balance_date'])} ({verdict['unexplained_share']:.1%}) differ for no cause that we know;"
            f" reconciliation.max_unexplained_share allows {verdict['allowed_share']:.1%}. The largest differences:"
        )
        lines += [f"  {line}" for line in _worst_loans(loans[~loans["is_explained"].astype(bool)])]
    if verdict["is_different_broken"]:
        lines.append(f"{_different(verdict)} The largest differences:")
        lines += [f"  {line}" for line in _worst_loans(loans[~loans["cause_code"].isin(_SMALL_CAUSES)])]
    if verdict["is_missing_broken"]:
        lines.append(_missing(verdict))
    if verdict["is_total_broken"]:
        lines.append(
            f"{verdict['total_count'] - verdict['equal_total_count']:,} of {verdict['total_count']:,} control totals of"
            f" {_day(verdict['totals_date'])} differ; reconciliation.totals_tolerance allows"
            f" {verdict['totals_tolerance_amount']}. The largest differences:"
        )
        lines += [f"  {line}" for line in _worst_totals(totals)]
    lines.append(f"Every difference: {folder}.")
    lines.append(
        "What to do: compare the worst loans with the core and look for a file that is missing, old or cut off;"
        " deliver it again and run the date again. If the core is wrong, raise the setting in puntual.yaml."
    )
    return "\n".join(lines)


def _worst_loans(loans: pd.DataFrame) -> list[str]:
    open_ones = loans[loans["is_compared"].astype(bool)]
    size = open_ones["arrears_difference_amount"].map(_absolute) + open_ones[
        "outstanding_principal_difference_amount"
    ].map(_absolute)
    worst = open_ones.assign(size=size).sort_values(["size", "loan_id"], ascending=[False, True]).head(_SHOWN_LOANS)
    return [
        f"{row['loan_id']}: arrears {_pair(row, 'arrears_amount')}, principal"
        f" {_pair(row, 'outstanding_principal_amount')}, past-due days {_pair(row, 'past_due_days')}"
        for row in worst.to_dict("records")
    ]


def _worst_totals(totals: pd.DataFrame) -> list[str]:
    given = totals[totals["source_code"] == "control_totals"]
    size = given["arrears_difference_amount"].map(_absolute) + given["outstanding_principal_difference_amount"].map(
        _absolute
    )
    # A group that only one side has comes first, whatever its amounts are.
    lonely = given["status_code"].isin(["missing", "surplus"])
    worst = given.assign(size=size, lonely=lonely).sort_values(["lonely", "size"], ascending=False, kind="stable")
    return [
        f"branch {row['branch_id']}, product {row['product_code']} ({row['status_code']}): loans"
        f" {_pair(row, 'loan_count')}, principal {_pair(row, 'outstanding_principal_amount')}, arrears"
        f" {_pair(row, 'arrears_amount')}"
        for row in worst.head(_SHOWN_TOTALS).to_dict("records")
    ]


def _pair(row: dict[str, Any], name: str) -> str:
    return f"{_figure(row[name])} here and {_figure(row[f'core_{name}'])} there"


def _figure(value: Any) -> str:
    if pd.isna(value):
        return "nothing"
    if isinstance(value, float) and value.is_integer():
        return f"{int(value):,}"  # a column of whole numbers with a gap
    return f"{value:,}"


def _absolute(value: Any) -> Decimal:
    return Decimal(0) if pd.isna(value) else abs(Decimal(str(value)))


def _day(value: Any) -> str:
    return str(pd.Timestamp(value).date())


def _write(folder: Path, **frames: pd.DataFrame) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, frame in frames.items():
        new = folder / f"{name}.csv.new"
        frame.to_csv(new, index=False)
        new.replace(folder / f"{name}.csv")
