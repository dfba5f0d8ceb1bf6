"""A work list of a finished day that a person filled in and gave back; what the next day must know of it."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import openpyxl
import pandas as pd

from puntual.paths import Home
from puntual.settings import load_settings
from puntual.snapshot import Snapshot
from puntual.warehouse import Warehouse
from puntual.worklists.deliver import PREFIX
from puntual.worklists.imports import Desk

SAID = {
    "promise": "Promete pagar",
    "opt_out": "Pide no ser contactado",
    "refusal": "Se niega a pagar",
    "not_worked": "No gestionado",
}
"""Outcomes of the first lines, in this order; the others stay blank."""


def desk_of(home: Path, day: date) -> Desk:
    now = datetime.combine(day + timedelta(days=1), time(2))  # UTC, 21:00 of the day where the demo is
    return Desk(Home(home), load_settings(Home(home)), now, day)


def give_back_a_list(home: Path, folder: Path) -> pd.DataFrame:
    """Fill the longest list of the published day and import it; the rows that were filled in, with ``said``."""
    snapshot = Snapshot.current(home)
    lists = [path.with_suffix(".parquet") for path in (snapshot.folder / "worklists").glob("*.xlsx")]
    longest = max(lists, key=lambda path: (len(pd.read_parquet(path)), path.name))
    rows = pd.read_parquet(longest).iloc[: len(SAID)].assign(said=list(SAID))
    book = openpyxl.load_workbook(longest.with_suffix(".xlsx"))
    sheet = book["Lista"]
    place = {cell.value: cell.column for cell in sheet[1]}
    for line, outcome in enumerate(SAID, start=2):
        cells: dict[str, Any] = {"Resultado": SAID[outcome]}
        if outcome == "promise":
            due = snapshot.as_of_date + timedelta(days=5)
            cells |= {"Fecha de la promesa": due, "Monto de la promesa": 5.5, "Hora del contacto": time(10, 30)}
        for heading, value in cells.items():
            sheet.cell(line, place[heading], value)
    path = folder / longest.with_suffix(".xlsx").name
    book.save(path)
    desk = desk_of(home, snapshot.as_of_date)
    found = desk.take_in(path, by="ana")
    assert (found.counts.new, found.is_delivered, found.verdict.problems) == (len(SAID), True, ())
    assert (found.marked_count, found.blank_count) == (1, found.issued_count - len(SAID))
    landed = sorted((home / "landing").rglob("puntual_worklists_*.csv"))
    before = [file.read_bytes() for file in landed]
    assert len(landed) == 2 and desk.take_in(path, by="luis").already is not None
    assert [file.read_bytes() for file in landed] == before, "the same file again changes nothing"
    return rows


def the_list_came_back(home: Path, day: date, rows: pd.DataFrame) -> None:
    """Outcomes are facts, the promise is open, promise and opt-out are respected, completion counts all."""
    warehouse = Warehouse.open(load_settings(Home(home)).warehouse.url, home)
    worked = rows[rows["said"] != "not_worked"].set_index("customer_id")
    facts = warehouse.read(
        f"select * from marts.fct_interactions where interaction_id like '{PREFIX}%' order by customer_id"
    ).set_index("customer_id")
    assert facts["outcome_code"].to_dict() == worked["said"].to_dict()
    assert facts["collector_id"].to_dict() == worked["collector_id"].to_dict()
    assert set(facts["campaign_id"]) == {f"worklist:{day}"} and facts["is_attempt"].all()
    assert {value.date() for value in facts["occurred_date"]} == {day}
    hours = facts["occurred_hour"]
    (promised,) = worked.index[worked["said"] == "promise"]
    (opted_out,) = worked.index[worked["said"] == "opt_out"]
    assert hours[promised] == 10 and hours.drop(promised).isna().all(), "a time that nobody told is none"
    made = warehouse.read(f"select * from marts.fct_promises where promise_id like '{PREFIX}%'").iloc[0]
    assert (made["customer_id"], made["promise_status_code"], float(made["promised_amount"])) == (promised, "open", 5.5)
    decisions = pd.read_parquet(Snapshot.current(home).folder / "decisions.parquet").set_index("customer_id")
    assert decisions.loc[promised, "action"] == "none", "nobody is contacted while a promise is open"
    if opted_out in decisions.index:  # who pays is no longer considered
        assert decisions.loc[opted_out, "action"] != worked.loc[opted_out, "channel_code"]
    figures = warehouse.read(
        "select sum(issued_count) as issued, sum(worked_count) as worked, sum(other_channel_count) as other,"
        " sum(paid_before_count) as paid, sum(not_worked_count) as not_worked, sum(outside_attempt_count) as outside"
        " from kpis.kpi_decisions where activity_date = {}",
        [day],
    ).iloc[0]
    assert figures["worked"] == len(worked) and figures["outside"] == 0
    assert figures["issued"] == figures[["worked", "other", "paid", "not_worked"]].sum()
