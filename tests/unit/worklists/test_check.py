"""Every way in which a filled row can be wrong, told with its row, its column and what to do."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import openpyxl
import pytest

from puntual.errors import LandingError
from puntual.worklists.imports import Desk, Imported, problem_rows
from tests.unit.worklists.conftest import HEADINGS, NOW, Fill, call_lines, desk_of, promise


def codes(found: Imported) -> list[tuple[int, str, str]]:
    return [(one.line, one.column, one.code) for one in found.verdict.problems]


def judged(desk: Desk, path: Path) -> Imported:
    return desk.take_in(path, by="ana", dry_run=True)


@pytest.mark.parametrize(
    ("cells", "column", "code"),
    [
        ({"notes": "llamar luego"}, "outcome", "no_outcome"),
        ({"outcome": "Habló bien"}, "outcome", "unknown_outcome"),
        ({"outcome": "No está en casa"}, "outcome", "outcome_not_of_channel"),
        (promise(due=None), "promise_date", "promise_without_date"),
        (promise(amount=None), "promise_amount", "promise_without_amount"),
        ({"outcome": "No contesta", "promise_amount": 5}, "promise_amount", "promise_not_promised"),
        (promise(due="el viernes"), "promise_date", "unreadable_date"),
        (promise(due=date(2026, 6, 29)), "promise_date", "date_before_list"),
        (promise(due=date(2027, 7, 2)), "promise_date", "date_too_late"),
        (promise(amount="mucho"), "promise_amount", "unreadable_amount"),
        (promise(amount=0), "promise_amount", "amount_not_positive"),
        (promise(amount=-3), "promise_amount", "amount_not_positive"),
        (promise(amount=50_000), "promise_amount", "amount_too_large"),
        ({"outcome": "No contesta", "contact_time": "luego"}, "contact_time", "unreadable_time"),
        ({"outcome": "No contesta", "contact_time": time(18, 1)}, "contact_time", "time_in_future"),
        ({"outcome": "No contesta", "notes": "x" * 1001}, "notes", "notes_too_long"),
        ({"outcome": "No contesta", "customer_id": "m99999"}, "customer_id", "changed_key"),
        ({"outcome": "No contesta", "channel": "Visita"}, "channel", "changed_key"),
        ({"outcome": "No contesta", "row_id": "20260630-AAAAAAAAAAAAAAAA"}, "row_id", "unknown_row"),
        ({"outcome": "No contesta", "row_id": "20260629-AAAAAAAAAAAAAAAA"}, "row_id", "other_day"),
        ({"outcome": "No contesta", "row_id": None}, "row_id", "no_row_id"),
        ({"outcome": '=IF(1=1,"x","y")'}, "outcome", "formula"),
    ],
)
def test_a_bad_row_is_told_with_its_row_and_column(
    desk: Desk, fill: Fill, home: Path, cells: dict[str, Any], column: str, code: str
) -> None:
    line = call_lines(home)[0]
    path = fill({line: cells})
    if "row_id" in cells and cells["row_id"] is None:
        blank(path, line)
    found = judged(desk, path)
    assert codes(found) == [(line, column, code)]
    ((file, row, heading, said),) = problem_rows(found, "es")
    assert (file, row, heading) == ("g0.xlsx", str(line), HEADINGS[column]) and said.endswith((".", "?")), said
    assert "{" not in said and "{" not in problem_rows(found, "en")[0][3]


def blank(path: Path, line: int) -> None:
    """openpyxl leaves a cell as it is when it is given None."""
    book = openpyxl.load_workbook(path)
    sheet = book["Lista"]
    place = {cell.value: cell.column for cell in sheet[1]}
    sheet.cell(line, place[HEADINGS["row_id"]]).value = None
    book.save(path)


@pytest.mark.parametrize("written", ["Promete pagar", "promete  PAGAR", "Promises to pay", "promise"])
def test_an_outcome_is_its_code_or_its_word_in_either_language(
    desk: Desk, fill: Fill, home: Path, written: str
) -> None:
    line = call_lines(home)[0]
    found = judged(desk, fill({line: {**promise(), "outcome": written}}))
    assert codes(found) == [] and found.verdict.outcomes[0].outcome_code == "promise"


def test_the_time_of_a_contact_is_the_members(desk: Desk, fill: Fill, home: Path) -> None:
    first, second = call_lines(home)[:2]
    found = judged(desk, fill({first: promise(at="10:30"), second: {"outcome": "No contesta"}}))
    # Quito is five hours behind UTC
    assert [one.contacted_at for one in found.verdict.outcomes] == [datetime(2026, 6, 30, 15, 30), None]  # noqa: DTZ001 - UTC, as the warehouse has it
    assert found.outside_count == 0
    early = judged(desk, fill({first: promise(at="05:00")}))
    assert codes(early) == [] and early.outside_count == 1, "told, not refused: it was done"


def test_a_row_that_is_there_twice_is_refused_and_two_outcomes_for_one_row_both(
    desk: Desk, fill: Fill, home: Path
) -> None:
    first, second, third, fourth = call_lines(home)[:4]
    path = fill({first: {"outcome": "No contesta"}, third: {"outcome": "No contesta"}})
    book = openpyxl.load_workbook(path)
    sheet = book["Lista"]
    place = {cell.value: cell.column for cell in sheet[1]}
    for source, target in ((first, second), (third, fourth)):
        for column in range(1, sheet.max_column + 1):
            sheet.cell(target, column).value = sheet.cell(source, column).value
    sheet.cell(fourth, place[HEADINGS["outcome"]]).value = "Contesta otra persona"
    book.save(path)
    found = judged(desk, path)
    assert codes(found) == [
        (second, "row_id", "duplicated"),
        (third, "row_id", "two_outcomes"),
        (fourth, "row_id", "two_outcomes"),
    ]
    assert [one.outcome_code for one in found.verdict.outcomes] == ["no_answer"], "of equal rows the first counts"


def test_a_list_of_another_day_or_of_a_day_to_come_is_refused(
    desk: Desk, home: Path, fill: Fill, tmp_path: Path
) -> None:
    path = fill({2: {"outcome": "No contesta"}})
    with pytest.raises(LandingError, match="todavía no llega"):
        desk_of(home, NOW - timedelta(days=1)).take_in(path, by="ana")
    other = tmp_path / "other.csv"
    other.write_text("Código de fila;Resultado\n20260629-AAAAAAAAAAAAAAAA;No contesta\n", encoding="utf-8")
    with pytest.raises(LandingError, match=r"2026-06-29.*keep_snapshots"):
        desk.take_in(other, by="ana")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty"),
        (b"a;b\n1;2\n", "has no column Código de fila / Row code, Resultado / Outcome"),
        ("Código de fila;Resultado;Outcome\n".encode(), "is there twice"),
        ("Código de fila;Resultado\nx;No contesta\n".encode(), "no row has a row code"),
        ("Código de fila;Resultado\nx;".encode() + b"y" * 200_000, "cannot be read as a CSV"),
    ],
)
def test_a_csv_that_is_no_list_is_refused(desk: Desk, tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "x.csv"
    path.write_bytes(content)
    with pytest.raises(LandingError, match=said):
        judged(desk, path)


def test_what_is_no_workbook_is_refused(desk: Desk, tmp_path: Path) -> None:
    path = tmp_path / "x.xlsx"
    path.write_bytes(b"PK\x03\x04 not a workbook")
    with pytest.raises(LandingError, match="cannot be read as a workbook"):
        judged(desk, path)
    with pytest.raises(LandingError, match="no such file"):
        judged(desk, tmp_path / "absent.xlsx")
    other = tmp_path / "x.pdf"
    other.write_bytes(b"x")
    with pytest.raises(LandingError, match="neither"):
        judged(desk, other)
