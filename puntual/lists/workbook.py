"""A work list as a workbook: lines with what is to be filled in, what the list is, the codes behind the words."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from datetime import time as clock_time
from pathlib import Path
from typing import Any

import pandas as pd
import xlsxwriter

from puntual.lists.columns import COLUMNS, Column
from puntual.lists.files import cell_text, fixed_moment, number_or_none
from puntual.lists.rows import ListSettings
from puntual.lists.texts import texts, word

LONGEST_PROMISE_DAYS = 366
LONGEST_NOTES = 1000
SMALLEST_PROMISE = 0.01

_LINE_POINTS = 13.5
"""Height of a line of text in the default font."""
_TALLEST_POINTS = 400
"""A little below what a spreadsheet allows."""
_FILLS_LINE = 0.97
"""Words do not break at the last character: so much of a line is used."""
_A4 = 9
_PRINT_SCALE = 50
_FORMS: dict[str, dict[str, Any]] = {
    "text": {"num_format": "@"},
    "wrapped": {"num_format": "@", "text_wrap": True},
    # at the edge of its cell a count would touch the text of the next
    "integer": {"num_format": "0", "align": "center"},
    "money": {"num_format": "#,##0.00"},
    "percent": {"num_format": "0.0%"},
    "date": {"num_format": "yyyy-mm-dd"},
    "time": {"num_format": "hh:mm"},
}
_HEADER = {
    "bold": True,
    "bg_color": "#1F4E5F",
    "font_color": "#FFFFFF",
    "text_wrap": True,
    "valign": "vcenter",
    "border": 1,
}
_CELL = {"valign": "top", "border": 1, "border_color": "#D0D7DB"}
_TO_FILL = {**_CELL, "bg_color": "#FFF8E1", "locked": False}
_LACKING = {"bg_color": "#F8C9C4"}


def write_workbook(path: Path, rows: pd.DataFrame, settings: ListSettings, as_of: date, digest: str) -> None:
    """Write the list of one collector: sheets list, about, and the hidden codes. Equal rows give equal bytes.

    Texts are text cells whatever they begin with, so no content is ever run; documents and phones keep their zeros.
    """
    options = {"in_memory": True, "strings_to_formulas": False, "strings_to_numbers": False, "strings_to_urls": False}
    language = settings.language
    with xlsxwriter.Workbook(str(path), options) as book:
        title = f"{word('sheets', 'list', language)} {as_of}"
        book.set_properties({"title": title, "created": fixed_moment(as_of)})
        sheet = book.add_worksheet(word("sheets", "list", language))
        about = book.add_worksheet(word("sheets", "about", language))
        codes = book.add_worksheet(word("sheets", "codes", language))
        outcomes = _write_codes(codes, language)
        codes.hide()
        _write_lines(book, sheet, rows, language)
        _guide_filling(book, sheet, rows, outcomes, language, as_of)
        _lay_out(sheet, rows, settings, as_of)
        _write_about(book, about, rows, settings, as_of, digest)


def _write_lines(book: Any, sheet: Any, rows: pd.DataFrame, language: str) -> None:
    header = book.add_format(_HEADER)
    forms = {name: book.add_format({**form, **_CELL}) for name, form in _FORMS.items()}
    to_fill = {name: book.add_format({**form, **_TO_FILL}) for name, form in _FORMS.items()}
    sheet.set_row(0, 32)
    for position, column in enumerate(COLUMNS):
        is_hidden = column.hidden or (column.if_any and not _has_any(rows, column))
        sheet.set_column(position, position, column.width, None, {"hidden": 1} if is_hidden else {})
        sheet.write_string(0, position, word("headings", column.heading, language), header)
    for line, row in enumerate(rows.to_dict("records"), start=1):
        sheet.set_row(line, row_height(row))
        for position, column in enumerate(COLUMNS):
            if column.fill:
                sheet.write_blank(line, position, None, to_fill[column.form])
            else:
                _write_cell(sheet, line, position, _shown(row, column), column.form, forms[column.form])


def _has_any(rows: pd.DataFrame, column: Column) -> bool:
    return any(cell_text(value) for value in rows[column.source])


def _shown(row: dict[str, Any], column: Column) -> Any:
    value = row[column.source]
    return cell_text(value).replace("; ", "\n") if column.by_line else value


def row_height(row: dict[str, Any]) -> float:
    """Points that the longest wrapped text of a row needs: no spreadsheet wrote the file, so no height is automatic."""
    wrapped = [column for column in COLUMNS if column.form == "wrapped" and not column.fill]
    lines = [_line_count(cell_text(_shown(row, column)), column) for column in wrapped]
    return min(_LINE_POINTS * max([1, *lines]) + 3, _TALLEST_POINTS)


def _line_count(text: str, column: Column) -> int:
    fits = max(int(column.width * _FILLS_LINE), 1)
    return sum(max(1, -(-len(part) // fits)) for part in text.split("\n"))


def _guide_filling(
    book: Any, sheet: Any, rows: pd.DataFrame, outcomes: dict[str, str], language: str, as_of: date
) -> None:
    """Choices and limits of what is filled in, said in words; a promise that lacks date or amount turns red."""
    place = {column.source: position for position, column in enumerate(COLUMNS)}
    last = max(len(rows), 1)

    def told(name: str, rule: dict[str, Any], first: int = 1, until: int = last) -> None:
        said = {
            "input_title": word("headings", name, language),
            "input_message": word("input_messages", name, language),
            "error_title": word("headings", name, language),
            "error_message": word("error_messages", name, language),
        }
        sheet.data_validation(first, place[name], until, place[name], {**rule, **said})

    for line, channel in enumerate(rows["channel_code"], start=1):
        if channel in outcomes:
            told("outcome", {"validate": "list", "source": outcomes[channel]}, line, line)
    latest = as_of + timedelta(days=LONGEST_PROMISE_DAYS)
    told("promise_date", {"validate": "date", "criteria": "between", "minimum": as_of, "maximum": latest})
    for line, most in enumerate(rows["promise_limit_amount"], start=1):
        limit = max(number_or_none(most) or 0.0, SMALLEST_PROMISE)
        rule = {"validate": "decimal", "criteria": "between", "minimum": SMALLEST_PROMISE, "maximum": limit}
        told("promise_amount", rule, line, line)
    told(
        "contact_time",
        {"validate": "time", "criteria": "between", "minimum": clock_time(0, 1), "maximum": clock_time(23, 59)},
    )
    told("notes", {"validate": "length", "criteria": "<=", "value": LONGEST_NOTES})
    outcome = xlsxwriter.utility.xl_col_to_name(place["outcome"])
    promised = word("outcomes", "promise", language).replace('"', '""')
    red = book.add_format(_LACKING)
    for name in ("promise_date", "promise_amount"):
        cell = xlsxwriter.utility.xl_rowcol_to_cell(1, place[name], col_abs=True)
        formula = f'=AND(${outcome}2="{promised}",ISBLANK({cell}))'
        sheet.conditional_format(
            1, place[name], last, place[name], {"type": "formula", "criteria": formula, "format": red}
        )


def _lay_out(sheet: Any, rows: pd.DataFrame, settings: ListSettings, as_of: date) -> None:
    """Filter, frozen header and names; on paper A4 across, three pages wide, each with number and name."""
    last = max(len(rows), 1)
    sheet.autofilter(0, 0, last, len(COLUMNS) - 1)
    sheet.freeze_panes(1, 2)
    sheet.set_landscape()
    sheet.set_paper(_A4)
    sheet.set_margins(left=0.4, right=0.4, top=0.6, bottom=0.6)
    sheet.set_print_scale(_PRINT_SCALE)
    sheet.print_across()
    sheet.repeat_rows(0)
    sheet.repeat_columns(0, 1)
    sheet.print_area(0, 0, last, len(COLUMNS) - 1)
    sheet.set_v_pagebreaks([position for position, column in enumerate(COLUMNS) if column.new_page])
    who = _header_text(_collector(rows)) if len(rows) else ""
    sheet.set_header(f"&L{_header_text(settings.institution)}&C{who}&R{as_of.isoformat()}")
    sheet.set_footer(f"&C{word('words', 'page', settings.language)} &P / &N")


def _header_text(text: str) -> str:
    """Text in a page's header, where & begins a command and the whole has room for 255 characters."""
    return text.replace("&", "&&")[:80]


def _write_cell(sheet: Any, line: int, position: int, value: Any, form: str, cell_format: Any) -> None:
    """Numbers as numbers; everything else as text, whatever it begins with."""
    if form in {"integer", "money", "percent"}:
        number = number_or_none(value)
        if number is None:
            sheet.write_blank(line, position, None, cell_format)
        else:
            sheet.write_number(line, position, number, cell_format)
    else:
        sheet.write_string(line, position, cell_text(value), cell_format)


def _write_codes(sheet: Any, language: str) -> dict[str, str]:
    """Outcomes by channel on the hidden sheet (name, code); the range of names of each channel."""
    name = word("sheets", "codes", language)
    ranges = {}
    line = 0
    for channel, outcomes in texts()["outcomes_of_channel"].items():
        first = line
        for outcome in outcomes:
            sheet.write_string(line, 0, word("outcomes", outcome, language))
            sheet.write_string(line, 1, outcome)
            sheet.write_string(line, 2, channel)
            line += 1
        ranges[channel] = f"='{name}'!$A${first + 1}:$A${line}"
    return ranges


def _collector(rows: pd.DataFrame) -> str:
    first = rows.iloc[0]
    return " · ".join(cell_text(part) for part in (first["collector_name"], first["collector_id"]) if cell_text(part))


def _write_about(book: Any, sheet: Any, rows: pd.DataFrame, settings: ListSettings, as_of: date, digest: str) -> None:
    """What the list is, how it is filled in, and by what it is known when it comes back."""
    language = settings.language
    bold, wrapped = (
        book.add_format({"bold": True, "valign": "top"}),
        book.add_format({"text_wrap": True, "valign": "top"}),
    )
    lines: Sequence[tuple[str, str]] = (
        ("institution", settings.institution),
        ("date", as_of.isoformat()),
        ("collector", _collector(rows)),
        ("contacts", str(len(rows))),
        *((name, word("about", f"{name}_text", language)) for name in ("hours", "fill", "promise", "time", "back")),
        ("list_id", str(rows["list_id"].iloc[0])),
        ("digest", digest),
    )
    sheet.set_column(0, 0, 24)
    sheet.set_column(1, 1, 90)
    sheet.set_paper(_A4)
    sheet.fit_to_pages(1, 0)
    for line, (label, text) in enumerate(lines):
        sheet.write_string(line, 0, word("about", label, language), bold)
        sheet.write_string(line, 1, cell_text(text), wrapped)
        sheet.set_row(line, _LINE_POINTS * max(1, -(-len(cell_text(text)) // 85)) + 3)
