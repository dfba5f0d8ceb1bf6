"""Work lists: one XLSX per collector, and one CSV of everybody."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import pandas as pd
import xlsxwriter

from puntual.lists.files import cell_text, fixed_moment, keep_private, number_or_none, write_csv
from puntual.lists.rows import COLLECTOR_CHANNELS, ListSettings
from puntual.lists.texts import texts, word

_LINE_POINTS = 13.5
"""Height of a line of text in the default font."""


@dataclass(frozen=True)
class _Column:
    """``source`` in the rows, code of the heading, form, width; ``fill``: left for the collector to fill in."""

    source: str
    heading: str
    form: str
    width: int
    fill: bool = False


_COLUMNS = (
    _Column("rank", "rank", "integer", 6),
    _Column("full_name", "full_name", "text", 28),
    _Column("national_id", "national_id", "text", 14),
    _Column("arrears_amount", "arrears_amount", "money", 13),
    _Column("collectable_amount", "collectable_amount", "money", 13),
    _Column("past_due_days", "past_due_days", "integer", 8),
    _Column("channel", "channel", "text", 11),
    _Column("window_start_local", "window_start_local", "text", 7),
    _Column("window_end_local", "window_end_local", "text", 7),
    _Column("suggested_hour_local", "suggested_hour_local", "text", 8),
    _Column("route_order", "route_order", "integer", 8),
    _Column("planned_arrival_local", "planned_arrival_local", "text", 9),
    _Column("contact_value", "contact_value", "text", 24),
    _Column("place", "place", "text", 22),
    _Column("reasons_on_list", "reasons", "wrapped", 48),
    _Column("script", "script", "wrapped", 56),
    _Column("last_contacts", "last_contacts", "wrapped", 40),
    _Column("open_promise", "open_promise", "wrapped", 24),
    _Column("expected_gain_amount", "expected_gain_amount", "money", 13),
    _Column("default_probability", "default_probability", "percent", 13),
    _Column("outcome", "outcome", "text", 22, fill=True),
    _Column("promise_date", "promise_date", "date", 13, fill=True),
    _Column("promise_amount", "promise_amount", "money", 13, fill=True),
    _Column("notes", "notes", "wrapped", 32, fill=True),
    _Column("product", "product", "text", 13),
    _Column("loan_id", "loan_id", "text", 14),
    _Column("customer_id", "customer_id", "text", 14),
)
_FORMS: dict[str, dict[str, Any]] = {
    "text": {"num_format": "@"},
    "wrapped": {"num_format": "@", "text_wrap": True},
    "integer": {"num_format": "0"},
    "money": {"num_format": "#,##0.00"},
    "percent": {"num_format": "0.0%"},
    "date": {"num_format": "yyyy-mm-dd"},
}
_LAST_ROW_TO_FILL = 0.01


def write_worklists(rows: pd.DataFrame, folder: Path, settings: ListSettings, as_of: date) -> list[Path]:
    """Write ``worklists/<collector>.xlsx`` for every collector with contacts, and ``worklists/all.csv``; their paths.

    Rows are those of :func:`puntual.lists.rows.contact_rows`; messages stand in the CSV too, without a collector. Equal
    rows give equal bytes. The files name people: they are their owner's alone.
    """
    shown = rows.assign(
        channel=[word("channels", code, settings.language) for code in rows["channel_code"]],
        product=["" if code is None else word("products", code, settings.language) for code in rows["product_code"]],
    )
    written = []
    personal = shown[shown["channel_code"].isin(COLLECTOR_CHANNELS)]
    for file, group in personal.groupby("file", sort=True):
        path = folder / str(file)
        _write_workbook(keep_private(path), group.sort_values("rank"), settings, as_of)
        written.append(path)
    before = [_Column("as_of_date", "as_of_date", "date", 0)] + [
        _Column(name, name, "text", 0) for name in ("collector_id", "collector_name")
    ]
    columns = [*before, *(column for column in _COLUMNS if not column.fill)]
    amounts = [column.source for column in columns if column.form == "money"]
    table = shown.assign(
        **{name: shown[name].round(2) for name in amounts}, default_probability=shown["default_probability"].round(4)
    )
    table = table[[column.source for column in columns]].astype(object)
    written.append(
        write_csv(
            folder / "worklists" / "all.csv",
            [word("headings", column.heading, settings.language) for column in columns],
            table.itertuples(index=False, name=None),
            separator=settings.separator,
            decimal=settings.decimal,
        )
    )
    return written


def _write_workbook(path: Path, rows: pd.DataFrame, settings: ListSettings, as_of: date) -> None:
    options = {"in_memory": True, "strings_to_formulas": False, "strings_to_numbers": False, "strings_to_urls": False}
    language = settings.language
    with xlsxwriter.Workbook(str(path), options) as book:
        book.set_properties({"title": f"{word('sheets', 'list', language)} {as_of}", "created": fixed_moment(as_of)})
        header = book.add_format(
            {
                "bold": True,
                "bg_color": "#1F4E5F",
                "font_color": "#FFFFFF",
                "text_wrap": True,
                "valign": "vcenter",
                "border": 1,
            }
        )
        forms = {
            name: book.add_format({**form, "valign": "top", "border": 1, "border_color": "#D0D7DB"})
            for name, form in _FORMS.items()
        }
        to_fill = {
            name: book.add_format(
                {**form, "valign": "top", "border": 1, "border_color": "#D0D7DB", "bg_color": "#FFF8E1"}
            )
            for name, form in _FORMS.items()
        }
        sheet = book.add_worksheet(word("sheets", "list", language))
        about = book.add_worksheet(word("sheets", "about", language))
        codes = book.add_worksheet(word("sheets", "codes", language))
        ranges = _write_codes(codes, language)
        codes.hide()

        sheet.set_row(0, 32)
        for position, column in enumerate(_COLUMNS):
            sheet.set_column(position, position, column.width)
            sheet.write_string(0, position, word("headings", column.heading, language), header)
        for line, row in enumerate(rows.to_dict("records"), start=1):
            sheet.set_row(line, _row_height(row))
            for position, column in enumerate(_COLUMNS):
                if column.fill:
                    sheet.write_blank(line, position, None, to_fill[column.form])
                else:
                    _write_cell(sheet, line, position, row[column.source], column.form, forms[column.form])
            source = ranges.get(row["channel_code"])
            if source:
                sheet.data_validation(
                    line, _position("outcome"), line, _position("outcome"), {"validate": "list", "source": source}
                )
        last = len(rows)
        sheet.data_validation(
            1,
            _position("promise_date"),
            last,
            _position("promise_date"),
            {"validate": "date", "criteria": ">=", "value": as_of},
        )
        sheet.data_validation(
            1,
            _position("promise_amount"),
            last,
            _position("promise_amount"),
            {"validate": "decimal", "criteria": ">=", "value": _LAST_ROW_TO_FILL},
        )
        sheet.autofilter(0, 0, last, len(_COLUMNS) - 1)
        sheet.freeze_panes(1, 2)
        sheet.set_landscape()
        sheet.fit_to_pages(1, 0)
        sheet.repeat_rows(0)
        _write_about(
            about, book.add_format({"bold": True}), book.add_format({"text_wrap": True}), rows, settings, as_of
        )


def _row_height(row: dict[str, Any]) -> float:
    """Points that the longest wrapped text of a row needs: no spreadsheet wrote the file, so no height is automatic."""
    wrapped = [column for column in _COLUMNS if column.form == "wrapped" and not column.fill]
    lines = [-(-len(cell_text(row[column.source])) // column.width) for column in wrapped]
    return _LINE_POINTS * max([1, *lines]) + 3


def _position(source: str) -> int:
    return [column.source for column in _COLUMNS].index(source)


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


def _write_about(sheet: Any, bold: Any, wrapped: Any, rows: pd.DataFrame, settings: ListSettings, as_of: date) -> None:
    language = settings.language
    first = rows.iloc[0]
    collector = " · ".join(
        cell_text(part) for part in (first["collector_name"], first["collector_id"]) if cell_text(part)
    )
    lines: Sequence[tuple[str, str]] = (
        ("institution", settings.institution),
        ("date", as_of.isoformat()),
        ("collector", collector),
        ("contacts", str(len(rows))),
        ("hours", word("about", "hours_text", language)),
        ("fill", word("about", "fill_text", language)),
    )
    sheet.set_column(0, 0, 20)
    sheet.set_column(1, 1, 90)
    for line, (label, text) in enumerate(lines):
        sheet.write_string(line, 0, word("about", label, language), bold)
        sheet.write_string(line, 1, cell_text(text), wrapped)
