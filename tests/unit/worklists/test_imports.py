"""A filled list counts once, a corrected row is a new version, bad rows keep everything out, a crash loses nothing."""

from __future__ import annotations

import csv
import sqlite3
from datetime import date, time
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from puntual.errors import PublishError, PuntualError
from puntual.lock import exclusive
from puntual.publish import publish
from puntual.worklists.deliver import PREFIX, deliver_pending
from puntual.worklists.imports import Desk
from puntual.worklists.store import OperationsStore
from tests.unit.decision.worlds import QUITO
from tests.unit.worklists.conftest import HEADINGS, Fill, call_lines, promise

MONTH = "puntual_worklists_2026-06.csv"


def landed(home: Path, table: str) -> list[dict[str, str]]:
    path = home / "landing" / table / MONTH
    if not path.exists():
        return []
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def issued(home: Path, line: int) -> dict[str, Any]:
    table = pd.read_parquet(home / "published" / "current" / "worklists" / "g0.parquet")
    return table.iloc[line - 2].to_dict()


def test_outcomes_and_promises_become_rows_of_the_contract(desk: Desk, fill: Fill, home: Path) -> None:
    first, second = call_lines(home)[:2]
    found = desk.take_in(
        fill({first: promise(notes="paga  con\nsu hermana"), second: {"outcome": "No contesta"}}), by="ana"
    )
    assert (found.counts.new, found.counts.changed, found.is_recorded, found.is_delivered) == (2, 0, True, True)
    row = issued(home, first)
    by_id = {one["interaction_id"]: one for one in landed(home, "interactions")}
    said = by_id[PREFIX + row["row_id"]]
    assert said == {
        "interaction_id": PREFIX + row["row_id"],
        "customer_id": row["customer_id"],
        "loan_id": row["loan_id"],
        "occurred_at": "2026-06-30T15:30:00Z",
        "channel": "call",
        "direction": "outbound",
        "collector_id": "g0",
        "campaign_id": "worklist:2026-06-30",
        "outcome": "promise",
        "duration_s": "",
        "cost": "",
        # The learning table multiplies the logged probabilities of a week's days; one day's would take their place.
        "propensity": "",
        "notes": "paga con su hermana",
    }
    # Only the day is known: the institution's midnight.
    assert by_id[PREFIX + issued(home, second)["row_id"]]["occurred_at"] == "2026-06-30T05:00:00Z"
    (made,) = landed(home, "promises")
    assert (made["loan_id"], made["due_on"], made["amount"]) == (row["loan_id"], "2026-07-03", "50.00")
    assert made["promise_id"] == made["interaction_id"] == PREFIX + row["row_id"]
    for table in ("interactions", "promises"):
        assert (home / "landing" / table / MONTH).stat().st_mode & 0o777 == 0o600


def test_the_store_keeps_the_logged_propensity_and_what_was_drawn(desk: Desk, fill: Fill, home: Path) -> None:
    desk.take_in(fill({line: {"outcome": "No contesta"} for line in call_lines(home)}), by="ana")
    decisions = pd.read_parquet(home / "published" / "current" / "decisions.parquet").set_index("customer_id")
    kept = desk.store.newest(date(2026, 6, 30), date(2026, 6, 30))
    assert len(kept) == len(call_lines(home))
    for row in kept:
        logged = decisions.loc[row["customer_id"]]
        assert bool(row["is_exploration"]) == logged["is_exploration"]
        assert row["propensity"] == (None if pd.isna(logged["propensity"]) else logged["propensity"])


def test_the_same_file_and_the_same_rows_again_add_nothing(desk: Desk, fill: Fill, home: Path) -> None:
    first, second = call_lines(home)[:2]
    path = fill({first: promise()})
    desk.take_in(path, by="ana")
    before = landed(home, "interactions"), landed(home, "promises")
    again = desk.take_in(path, by="luis")
    assert again.already is not None and again.already.imported_by == "ana" and not again.is_recorded
    # Saved anew with one row more: other bytes, and one row is new.
    more = desk.take_in(fill({first: promise(), second: {"outcome": "No contesta"}}, "g0 (2).xlsx"), by="ana")
    assert (more.counts.new, more.counts.changed, more.counts.same) == (1, 0, 1)
    assert [one.file_name for one in desk.store.imports()] == ["g0.xlsx", "g0 (2).xlsx"]
    assert before[1] == landed(home, "promises") and len(landed(home, "interactions")) == len(before[0]) + 1


def test_a_corrected_row_is_a_new_version_and_the_newest_counts(desk: Desk, fill: Fill, home: Path) -> None:
    line = call_lines(home)[0]
    desk.take_in(fill({line: promise(amount=50)}), by="ana")
    found = desk.take_in(fill({line: promise(amount=60)}, "b.xlsx"), by="ana")
    assert (found.counts.new, found.counts.changed) == (0, 1)
    assert [one["amount"] for one in landed(home, "promises")] == ["60.00"]
    desk.take_in(fill({line: {"outcome": "Se niega a pagar"}}, "c.xlsx"), by="ana")
    assert [one["outcome"] for one in landed(home, "interactions")] == ["refusal"] and not landed(home, "promises")
    with sqlite3.connect(home / "operations.db") as database:
        versions = database.execute("select version, outcome_code from outcomes order by version").fetchall()
    assert versions == [(1, "promise"), (2, "promise"), (3, "refusal")]
    # Back to what was said first is a correction too, not something that was imported before.
    assert desk.take_in(fill({line: promise(amount=50)}, "d.xlsx"), by="ana").counts.changed == 1


def test_a_contact_that_was_not_made_after_all_is_withdrawn(desk: Desk, fill: Fill, home: Path) -> None:
    first, second = call_lines(home)[:2]
    desk.take_in(fill({first: promise()}), by="ana")
    desk.take_in(fill({first: {"outcome": "No gestionado"}, second: {"outcome": "No gestionado"}}, "b.xlsx"), by="ana")
    (said,) = landed(home, "interactions")
    assert said["campaign_id"] == "puntual-worklist:withdrawn", "what raw has stays, marked; what never was is no row"
    assert not landed(home, "promises")


def test_a_bad_row_keeps_everything_out_unless_the_good_ones_are_asked_for(desk: Desk, fill: Fill, home: Path) -> None:
    first, second, third = call_lines(home)[:3]
    lines = {first: promise(), second: promise(amount=-1, notes="@SUM(A1)"), third: {"outcome": "x"}}
    path = fill(lines)
    refused = desk.take_in(path, by="ana")
    assert refused.is_refused and not desk.store.imports() and not landed(home, "interactions")
    assert not path.with_name("g0_rejected.csv").exists()
    accepted = desk.take_in(path, by="ana", accept_good=True)
    assert (accepted.counts.new, accepted.is_refused) == (1, False) and len(landed(home, "interactions")) == 1
    report = path.with_name("g0_rejected.csv").read_bytes().decode("utf-8-sig")
    rows = list(csv.DictReader(report.splitlines(), delimiter=";"))
    assert [row["Fila de la hoja"] for row in rows] == [str(second), str(third)]
    assert rows[0]["Columna"] == "Monto de la promesa" and "mayor que 0" in rows[0]["Qué pasa y qué hacer"]
    assert rows[0]["Observaciones"].startswith("'@SUM"), "nothing in the report is run"
    assert rows[0]["Código de fila"] == issued(home, second)["row_id"]
    again = desk.take_in(path, by="ana", accept_good=True)
    assert not again.is_recorded and len(desk.store.imports()) == 1


def test_a_dry_run_changes_nothing(desk: Desk, fill: Fill, home: Path) -> None:
    before = sorted(path for path in home.rglob("*"))
    found = desk.take_in(fill({call_lines(home)[0]: promise()}), by="ana", dry_run=True)
    assert found.counts.new == 1 and not found.is_recorded
    assert sorted(path for path in home.rglob("*")) == before


def test_every_issued_contact_is_worked_marked_or_without_a_word(desk: Desk, fill: Fill, home: Path) -> None:
    first, second = call_lines(home)[:2]
    found = desk.take_in(fill({first: promise(), second: {"outcome": "No gestionado"}}), by="ana")
    table = pd.read_parquet(home / "published" / "current" / "worklists" / "g0.parquet")
    assert (found.issued_count, found.marked_count, found.blank_count) == (len(table), 1, len(table) - 2)
    states = {one.list_id: one for one in desk.states()}
    mine = states["2026-06-30-g0"]
    assert (mine.worked_count, mine.marked_count, mine.blank_count) == (1, 1, len(table) - 2)
    other = states["2026-06-30-g1"]
    assert other.blank_count == other.issued_count > 0


def test_a_filled_csv_says_the_same(desk: Desk, home: Path, tmp_path: Path) -> None:
    source = home / "published" / "current" / "worklists" / "all.csv"
    with source.open(encoding="utf-8-sig", newline="") as stream:
        rows = list(csv.DictReader(stream, delimiter=";"))
    mine = next(row for row in rows if row["Canal"] == "Llamada")
    mine |= {
        HEADINGS["outcome"]: "promise",
        HEADINGS["promise_date"]: "03/07/2026",
        HEADINGS["promise_amount"]: "50,00",
        HEADINGS["contact_time"]: "10:30",
    }
    path = tmp_path / "all.csv"
    with path.open("w", encoding="cp1252", newline="") as stream:  # as a spreadsheet saves it
        writer = csv.DictWriter(stream, list(mine), delimiter=";")
        writer.writeheader()
        writer.writerows(rows)
    found = desk.take_in(path, by="ana")
    assert [one.outcome_code for one in found.verdict.outcomes] == ["promise"] and found.is_delivered
    (made,) = landed(home, "promises")
    assert (made["due_on"], made["amount"], made["made_at"]) == ("2026-07-03", "50.00", "2026-06-30T15:30:00Z")
    personal = sum(row["Canal"] in {"Llamada", "Visita"} for row in rows)
    assert found.issued_count == personal, "messages are nobody's to work"


def test_while_a_run_works_the_rows_wait_for_the_next_one(
    desk: Desk, fill: Fill, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from puntual.errors import HomeBusyError

    def busy(_: Any) -> Any:
        raise HomeBusyError("another run")

    monkeypatch.setattr("puntual.worklists.imports.exclusive", busy)
    found = desk.take_in(fill({call_lines(home)[0]: promise()}), by="ana")
    assert found.is_recorded and not found.is_delivered and not landed(home, "interactions")
    assert [one.status for one in desk.store.imports()] == ["recorded"]
    with exclusive(desk.home):
        written = deliver_pending(desk.store, home / "landing", QUITO)
        assert len(written) == 2 and len(landed(home, "promises")) == 1
        first = [path.read_bytes() for path in written]
        assert deliver_pending(desk.store, home / "landing", QUITO) == []
    assert [one.status for one in desk.store.imports()] == ["delivered"]
    assert [path.read_bytes() for path in written] == first


def test_a_disk_that_refuses_the_landing_file_loses_nothing(
    desk: Desk, fill: Fill, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    path = fill({call_lines(home)[0]: promise()})
    with monkeypatch.context() as patched:
        patched.setattr("puntual.worklists.deliver.os.fsync", full)
        with pytest.raises(OSError, match="No space"):
            desk.take_in(path, by="ana")
    assert not landed(home, "interactions") and [one.status for one in desk.store.imports()] == ["recorded"]
    assert desk.take_in(path, by="ana").already is not None
    assert len(deliver_pending(desk.store, home / "landing", QUITO)) == 2


def test_a_published_list_that_was_altered_judges_nothing(desk: Desk, fill: Fill, home: Path) -> None:
    path = fill({call_lines(home)[0]: promise()})
    (home / "published" / "current" / "worklists" / "all.parquet").write_bytes(b"x")
    with pytest.raises(PublishError, match="not the file that was published"):
        desk.take_in(path, by="ana")


def test_a_store_of_another_version_is_refused(home: Path) -> None:
    with sqlite3.connect(home / "operations.db") as database:
        database.execute("pragma user_version = 9")
    with pytest.raises(PuntualError, match="version 9"):
        OperationsStore(home / "operations.db").imports()


def test_rows_sorted_and_filtered_in_the_spreadsheet_stay_what_they_are(
    desk: Desk, fill: Fill, home: Path, tmp_path: Path
) -> None:
    import openpyxl

    line = call_lines(home)[0]
    path = fill({line: promise(at=time(11, 0))})
    book = openpyxl.load_workbook(path)
    sheet = book["Lista"]
    lines = [[cell.value for cell in row] for row in sheet.iter_rows(min_row=2)]
    for number, values in enumerate(reversed(lines), start=2):
        for column, value in enumerate(values, start=1):
            sheet.cell(number, column).value = value
    book.save(path)
    desk.take_in(path, by="ana")
    (said,) = landed(home, "interactions")
    assert said["customer_id"] == issued(home, line)["customer_id"]


def test_a_row_that_a_second_run_of_the_day_left_out_still_comes_back(desk: Desk, fill: Fill, home: Path) -> None:
    line = call_lines(home)[0]
    path, left_out = fill({line: promise()}), issued(home, line)["row_id"]
    first = home / "published" / "current"
    rows, decisions = (pd.read_parquet(first / name) for name in ("worklists/all.parquet", "decisions.parquet"))

    def again(folder: Path) -> dict[str, Any]:
        (folder / "worklists").mkdir()
        rows[rows["row_id"] != left_out].assign(list_digest="x").to_parquet(folder / "worklists" / "all.parquet")
        decisions.to_parquet(folder / "decisions.parquet")
        return {"as_of_date": "2026-06-30"}

    publish(desk.home, date(2026, 6, 30), again, run_id="r2", keep=3)
    found = desk.take_in(path, by="ana")
    assert [one.issued.row_id for one in found.verdict.outcomes] == [left_out] and found.is_known_digest
