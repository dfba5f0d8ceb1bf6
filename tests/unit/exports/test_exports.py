"""Exports: what a spreadsheet must keep, what it must not run, what a condition may say, and what is left when it fails."""

# ruff: noqa: DTZ001 - moments of the warehouse are UTC without a zone
from __future__ import annotations

import csv
import os
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from puntual.errors import ExportError, UsageError
from puntual.exports import writers
from puntual.exports.export import Request, default_file, export, record, request_of, snapshot_of
from puntual.exports.offers import heading, offer, offers
from puntual.exports.predicate import checked_predicate
from tests.export_snapshots import AS_OF, csv_rows, given_back, publish, xlsx_rows

# Texts by which spreadsheets have been made to run something, and some that only look like it.
INJECTIONS = [
    "=1+1", "=cmd|' /C calc'!A0", "+1+1", "-1+1", "@SUM(1;1)", "=HYPERLINK(\"http://evil\",\"x\")", "\t=1+1", "\r=1+1",
    "\n=1+1", " =1+1", "\u00a0=1+1", "\ufeff=1+1", "\u200b=1+1", "＝1+1", "＋1", "－1", "＠SUM(1)", "-", "+593991234567",
    "'=1+1", "''=1+1", "\ttext", "\rtext", "\ntext", "=1+1\";=2", "a,b;c\"d\ne", "=IMPORTXML(\"x\")", "-2+3+cmd|' /C calc'!A0",
]  # fmt: skip
PLAIN = ["", "0001", "C000123", "'quoted'", "a=1", "5-6", "ñandú 漢字 😀", " padded ", "null", "NaN", "1e5"]


def loans(count: int = 3) -> pa.Table:
    return pa.table({
        "loan_id": [f"{at:05d}" for at in range(count)],
        "loan_key": pa.array([2**59 + at for at in range(count)], pa.int64()),
        "customer_id": [f"C{at % 2}" for at in range(count)],
        "branch_id": pa.array(["B1" if at % 2 else None for at in range(count)], pa.string()),
        "as_of_date": pa.array([AS_OF] * count, pa.date32()),
        "past_due_days": pa.array([at * 10 for at in range(count)], pa.int64()),
        "arrears_amount": pa.array([Decimal("1234.50") - 1000 * at for at in range(count)], pa.decimal128(18, 2)),
        "default_probability": [0.1 * at for at in range(count)],
        "is_month_end": [True] * count,
    })  # fmt: skip


@pytest.fixture
def snapshot(tmp_path):
    return publish(tmp_path, {"fct_loan_as_of": loans(), "dim_branches": pa.table({"branch_id": ["B1"]})})


def texts_of(tmp_path: Path, texts: list[str]):
    keys = [f"{at:03d}" for at in range(len(texts))]
    return publish(tmp_path, {"dim_branches": pa.table({"branch_id": keys, "branch_name": texts})})


def test_csv_cells_never_begin_a_formula_and_give_the_text_back(tmp_path):
    texts = INJECTIONS + PLAIN
    done = export(texts_of(tmp_path, texts), Request("branches", "csv"), tmp_path / "o.csv")
    cells = [row[1] for row in csv_rows(done.path)[1:]]
    assert [given_back(cell) for cell in cells] == texts
    for text, cell in zip(texts, cells, strict=True):
        harmless = cell.lstrip(" \u00a0\ufeff\u200b")
        assert not harmless.startswith(("=", "+", "-", "@", "＝", "＋", "－", "＠")), text
        assert not cell.startswith(("\t", "\r", "\n")), text
    assert cells[len(INJECTIONS) :] == PLAIN  # what is harmless is left alone


def test_xlsx_texts_are_strings_whatever_they_begin_with(tmp_path):
    texts = [text for text in INJECTIONS if "\r" not in text] + PLAIN[1:]
    done = export(texts_of(tmp_path, texts), Request("branches", "xlsx"), tmp_path / "o.xlsx")
    cells = [row[1] for row in openpyxl.load_workbook(done.path).worksheets[0].iter_rows(min_row=2)]
    assert [cell.value for cell in cells] == texts
    assert {cell.data_type for cell in cells} == {"s", "inlineStr"} or {cell.data_type for cell in cells} <= {
        "s",
        "inlineStr",
    }


def test_xlsx_leaves_out_what_no_xml_may_hold(tmp_path):
    done = export(texts_of(tmp_path, ["a\x00b\x01c\x1fd\ufffee"]), Request("branches", "xlsx"), tmp_path / "o.xlsx")
    assert xlsx_rows(done.path)[1][1] == "abcde"


def test_xlsx_numbers_are_numbers_identifiers_text_days_days(snapshot, tmp_path):
    done = export(snapshot, Request("loans", "xlsx", columns=("loan_id", "loan_key", "as_of_date", "past_due_days",
                                                              "arrears_amount", "default_probability", "is_month_end")),
                  tmp_path / "o.xlsx")  # fmt: skip
    header, *rows = xlsx_rows(done.path)
    assert header[0] == "Préstamo"
    # 60 bits do not fit into a spreadsheet's number: 2^59 + 2 would read as 576460752303423000
    assert rows[2] == ["00002", "576460752303423490", datetime(2026, 6, 30), 20, -765.5, 0.2, True]
    sheet = openpyxl.load_workbook(done.path).worksheets[0]
    assert (sheet.freeze_panes, sheet.auto_filter.ref) == ("A2", "A1:G4")
    assert sheet["E2"].number_format == "#,##0.00"
    assert sheet["F2"].number_format == "0.00%"


def test_csv_negative_amounts_stay_numbers_and_decimals_take_the_sign_asked_for(snapshot, tmp_path):
    request = Request(
        "loans", "csv", columns=("loan_id", "arrears_amount", "default_probability"), delimiter=";", decimal=","
    )
    done = export(snapshot, request, tmp_path / "o.csv")
    assert csv_rows(done.path, ";")[3] == ["00002", "-765,50", "0,2"]
    assert b"\r\n" in done.path.read_bytes()


def test_keys_that_only_join_come_when_they_are_named(snapshot, tmp_path):
    done = export(snapshot, Request("loans", "csv"), tmp_path / "o.csv")
    assert "loan_key" not in done.columns
    named = export(snapshot, Request("loans", "csv", columns=("loan_key",)), tmp_path / "k.csv")
    assert csv_rows(named.path)[1] == ["576460752303423488"]


def test_columns_are_found_whatever_their_capitals(snapshot, tmp_path):
    request = Request("loans", "csv", where="PAST_DUE_DAYS > 5 and Loan_Id <> '00001'", columns=("LOAN_ID",))
    assert csv_rows(export(snapshot, request, tmp_path / "o.csv").path) == [["loan_id"], ["00002"]]
    with pytest.raises(UsageError, match="names a column twice"):
        export(snapshot, Request("loans", "csv", columns=("loan_id", "LOAN_ID")), tmp_path / "t.csv")
    with pytest.raises(UsageError, match="Did you mean past_due_days"):
        export(snapshot, Request("loans", "csv", where="PAST_DUE_DAY > 1"), tmp_path / "t.csv")


@pytest.mark.parametrize(
    ("what", "table"), [("decisions", "fct_decisions"), ("completion", "rpt_list_completion"), ("worklist", "worklist")]
)
def test_what_was_drawn_comes_only_when_it_is_named(what, table):
    assert offer(what).tables == (table,)
    assert not offer(what).shows("is_exploration")


def test_decisions_show_what_was_drawn_when_asked(tmp_path):
    table = pa.table({"as_of_date": pa.array([AS_OF], pa.date32()), "customer_id": ["C1"], "is_exploration": [True]})
    published = publish(tmp_path, {"fct_decisions": table})
    plain = export(published, Request("decisions", "csv"), tmp_path / "o.csv")
    assert plain.columns == ("as_of_date", "customer_id")
    named = export(published, Request("decisions", "csv", columns=("is_exploration",)), tmp_path / "n.csv")
    assert csv_rows(named.path)[1] == ["true"]


@pytest.mark.parametrize("format_", ["csv", "xlsx", "parquet"])
def test_a_file_with_names_is_its_owners_alone(snapshot, tmp_path, monkeypatch, format_):
    before = os.umask(0o022)
    try:
        plain = export(snapshot, Request("loans", format_), tmp_path / f"plain.{format_}")
        assert plain.path.stat().st_mode & 0o777 == 0o644
        named = {"loans": offers()["loans"].model_copy(update={"has_names": True})}
        monkeypatch.setattr("puntual.exports.export.offer", named.__getitem__)
        secret = tmp_path / f"secret.{format_}"
        secret.write_text("open to all")
        done = export(snapshot, Request("loans", format_), secret, replace=True)
        assert done.path.stat().st_mode & 0o777 == 0o600
        assert done.sha256 == plain.sha256
    finally:
        os.umask(before)


def test_a_line_without_any_value_is_a_line(tmp_path):
    table = pa.table({"branch_id": ["1", "2"], "branch_name": pa.array([None, "x"], pa.string())})
    published = publish(tmp_path, {"dim_branches": table})
    done = export(published, Request("branches", "csv", columns=("branch_name",)), tmp_path / "o.csv")
    assert csv_rows(done.path) == [["branch_name"], [""], ["x"]]


def test_headings_of_a_csv_are_for_programs_unless_a_language_is_asked_for(snapshot, tmp_path):
    plain = export(snapshot, Request("loans", "csv", columns=("past_due_days",)), tmp_path / "a.csv")
    english = export(snapshot, Request("loans", "csv", columns=("past_due_days",), language="en"), tmp_path / "b.csv")
    assert csv_rows(plain.path)[0] == ["past_due_days"]
    assert csv_rows(english.path)[0] == ["Past-due days"]


def test_workbook_says_what_it_is(snapshot, tmp_path):
    done = export(snapshot, Request("loans", "xlsx", where="past_due_days > 5", language="en"), tmp_path / "o.xlsx")
    about = dict(xlsx_rows(done.path, -1))
    assert about["Data as of"] == "2026-06-30"
    assert about["Condition"] == "past_due_days > 5"
    assert about["Rows"] == "2"
    assert about["Arrears"] == "arrears_amount"


def test_more_rows_than_a_sheet_holds_go_on_the_next(tmp_path, monkeypatch):
    monkeypatch.setattr(writers.XlsxWriter.__init__, "__kwdefaults__",
                        {**writers.XlsxWriter.__init__.__kwdefaults__, "sheet_rows": 4})  # fmt: skip
    for count, sheets in ((0, [0]), (4, [4]), (5, [4, 1]), (12, [4, 4, 4])):
        home = tmp_path / str(count)
        done = export(publish(home, {"fct_loan_as_of": loans(count)}), Request("loans", "xlsx"), home / "o.xlsx")
        book = openpyxl.load_workbook(done.path)
        assert [sheet.max_row - 1 for sheet in book.worksheets[:-1]] == sheets
        ids = [row[0] for sheet in book.worksheets[:-1] for row in sheet.iter_rows(min_row=2, values_only=True)]
        assert ids == [f"{at:05d}" for at in range(count)]
        assert done.rows == count


def test_a_text_that_no_cell_holds_is_said_and_leaves_nothing(tmp_path):
    published = texts_of(tmp_path, ["x" * 32_768])
    with pytest.raises(ExportError, match="longer than a spreadsheet's cell holds"):
        export(published, Request("branches", "xlsx"), tmp_path / "out" / "o.xlsx")
    assert list((tmp_path / "out").iterdir()) == []
    assert export(published, Request("branches", "csv"), tmp_path / "out" / "o.csv").rows == 1


def test_days_before_a_spreadsheets_calendar_become_text(tmp_path):
    table = pa.table({"loan_id": ["1", "2"], "as_of_date": pa.array([date(1899, 5, 1), date(1900, 3, 1)], pa.date32())})
    done = export(publish(tmp_path, {"fct_loan_as_of": table}), Request("loan_history", "xlsx"), tmp_path / "o.xlsx")
    assert [row[1] for row in xlsx_rows(done.path)[1:]] == ["1899-05-01", datetime(1900, 3, 1)]


def test_moments_are_utc_and_numbers_that_are_none_are_empty(tmp_path):
    moments = pa.array([datetime(2026, 1, 1, 12, 30, tzinfo=UTC)], pa.timestamp("us", tz="America/Guayaquil"))
    table = pa.table({"as_of_date": pa.array([AS_OF], pa.date32()), "customer_id": ["C1"], "window_start": moments,
                      "propensity": [float("nan")]})  # fmt: skip
    published = publish(tmp_path, {"fct_decisions": table})
    text = export(published, Request("decisions", "csv"), tmp_path / "o.csv")
    assert csv_rows(text.path)[1] == ["2026-06-30", "C1", "2026-01-01 12:30:00", ""]
    book = export(published, Request("decisions", "xlsx"), tmp_path / "o.xlsx")
    assert xlsx_rows(book.path)[1] == [datetime(2026, 6, 30), "C1", datetime(2026, 1, 1, 12, 30), None]


def test_parquet_keeps_types_and_says_what_it_is(snapshot, tmp_path):
    done = export(snapshot, Request("loans", "parquet", columns=("loan_key", "arrears_amount")), tmp_path / "o.parquet")
    table = pq.read_table(done.path)
    assert table.schema.types == [pa.int64(), pa.decimal128(18, 2)]
    assert table.schema.metadata[b"puntual.what"] == b"loans"
    empty = export(snapshot, Request("loans", "parquet", where="past_due_days < 0"), tmp_path / "e.parquet")
    assert pq.read_table(empty.path).num_rows == 0


@pytest.mark.parametrize("format_", ["csv", "xlsx", "parquet"])
def test_the_same_export_is_the_same_file(snapshot, tmp_path, format_):
    digests = {export(snapshot, Request("loans", format_), tmp_path / f"{at}.{format_}").sha256 for at in range(2)}
    assert len(digests) == 1


@pytest.mark.parametrize(
    ("where", "kept"),
    [
        ("past_due_days > 5 and loan_id like '0000%'", ["00001", "00002"]),
        ("branch_id is null", ["00000", "00002"]),
        ("loan_id in ('00001', '00009') or arrears_amount < -1", ["00001", "00002"]),
        ("as_of_date between '2026-06-01' and date '2026-06-30' and not (past_due_days = 0)", ["00001", "00002"]),
        ("case when is_month_end then past_due_days else 99 end = 10", ["00001"]),
        ("extract(year from as_of_date) = 2026 and upper(customer_id) = 'C1' -- a note", ["00001"]),
        ("  ", ["00000", "00001", "00002"]),
        ("past_due_days", ["00001", "00002"]),  # SQL reads a number as true unless it is 0
    ],
)
def test_a_condition_keeps_its_rows_in_order(snapshot, tmp_path, where, kept):
    done = export(snapshot, Request("loans", "csv", where=where, columns=("loan_id",)), tmp_path / "o.csv")
    assert [row[0] for row in csv_rows(done.path)[1:]] == kept


@pytest.mark.parametrize(
    ("where", "said"),
    [
        ("1=1) union all select * from dim_branches where (1=1", "not a condition"),
        ("true union all select 1 from exported", "not a condition|nothing behind it"),
        ("true; drop view exported", "not a condition"),
        ("true; copy exported to '/tmp/stolen.csv'", "not a condition"),
        ("true order by 1", "nothing behind it"),
        ("true limit 1", "nothing behind it"),
        ("true group by loan_id", "nothing behind it"),
        ("true group by all", "nothing behind it"),
        ("true qualify row_number() over () = 1", "nothing behind it"),
        ("true using sample 1", "nothing behind it"),
        ("loan_id in (select branch_id from dim_branches)", "a subquery"),
        ("exists (select 1 from read_csv('/etc/passwd'))", "a subquery"),
        ("loan_id = (select content from read_text('/etc/passwd'))", "a subquery"),
        ("loan_id = getenv('HOME')", r"may not use getenv\(\)"),
        ("loan_id = current_setting('temp_directory')", r"may not use current_setting\(\)"),
        ("length(repeat('x', 1000000000)) > 1", r"may not use repeat\(\)"),
        ("length(lpad('x', 1000000000, 'y')) > 1", r"may not use lpad\(\)"),
        ("random() > 0.5", r"may not use random\(\)"),
        ("as_of_date < now()", r"may not use now\(\)"),
        ("error('x') is null", r"may not use error\(\)"),
        ("nextval('x') = 1", r"may not use nextval\(\)"),
        ("main.lower(loan_id) = 'x'", "may not use|not a condition"),
        ("count(*) > 1", r"may not use count_star\(\)|a star"),
        ("sum(past_due_days) over () > 1", "a window function"),
        ("columns(*) is null", "a star"),
        ("loan_id = $1", "a parameter"),
        ("#1 = 'x'", "by its position"),
        ("list_contains([1], 1) and x -> 1", "an arrow"),
        ("loan_id collate nocase = 'x'", "a collation"),
        ("as_of_date < current_date", "current_date is not a column"),
        ("exported.loan_id = 'x'", "not a column"),
        ("dpd > 30", "dpd is not a column of this export. It has: loan_id"),
        ("past_due_day > 30", "Did you mean past_due_days"),
        ("past_due_days > 'abc'", "Could not convert"),
        ("loan_id =", "not a condition"),
        ("'unclosed", "not a condition|cannot be read"),
        ("/* open", "not a condition|cannot be read"),
        ("(" * 3000 + "true" + ")" * 900, "not a condition|cannot be read"),
        ("true " * 1000, "at most 4,000"),
    ],
)
def test_a_hostile_or_wrong_condition_is_refused_and_leaves_nothing(snapshot, tmp_path, where, said):
    with pytest.raises(UsageError, match=said):
        export(snapshot, Request("loans", "csv", where=where), tmp_path / "o" / "o.csv")
    assert not (tmp_path / "o").exists() or list((tmp_path / "o").iterdir()) == []


def test_a_condition_cannot_close_the_bracket_around_it():
    with pytest.raises(UsageError):
        checked_predicate("true) or (true", ["a"])
    assert checked_predicate("a = 'it''s' /* ) */", ["a"]) == "(a = 'it''s')"


def test_unknown_columns_formats_and_offers_name_what_there_is(snapshot, tmp_path):
    with pytest.raises(UsageError, match=r"arrear is not a column of this export\. Did you mean arrears_amount"):
        export(snapshot, Request("loans", "csv", columns=("arrear",)), tmp_path / "o.csv")
    with pytest.raises(UsageError, match="names a column twice"):
        export(snapshot, Request("loans", "csv", columns=("loan_id", "loan_id")), tmp_path / "o.csv")
    with pytest.raises(UsageError, match="Choose one of: kpis, kpi_catalog"):
        export(snapshot, Request("everything", "csv"), tmp_path / "o.csv")
    with pytest.raises(UsageError, match="Choose one of: xlsx, csv, parquet"):
        Request("loans", "pdf")
    for wrong in ({"delimiter": "|"}, {"decimal": "x"}, {"language": "fr"}):
        with pytest.raises(UsageError):
            Request("loans", "csv", **wrong)


def test_options_that_contradict_each_other_are_refused():
    def asked(format_=None, delimiter=",", decimal_comma=False, out=None):
        return request_of("loans", format_, None, None, None, delimiter, decimal_comma=decimal_comma, out=out)

    assert asked().format == "xlsx"
    assert asked(out=Path("x.PARQUET")).format == "parquet"
    for wrong in (
        {"format_": "csv", "out": Path("x.xlsx")}, {"delimiter": ";"}, {"format_": "csv", "decimal_comma": True},
        {"out": Path("x.pdf")},
    ):  # fmt: skip
        with pytest.raises(UsageError):
            asked(**wrong)


def test_a_snapshot_without_the_table_or_a_column_says_to_run_the_day_again(tmp_path):
    published = publish(tmp_path, {"dim_branches": pa.table({"branch_name": ["x"]})})
    with pytest.raises(ExportError, match=r"no table fct_kpi.*published before kpis was offered.*--as-of 2026-06-30"):
        export(published, Request("kpis", "csv"), tmp_path / "o.csv")
    with pytest.raises(ExportError, match="branch_id"):
        export(published, Request("branches", "csv"), tmp_path / "o.csv")


def test_a_damaged_table_is_said_and_leaves_nothing(snapshot, tmp_path):
    (snapshot.folder / "bi" / "fct_loan_as_of.parquet").write_bytes(b"PAR1 not really")
    with pytest.raises(ExportError):
        export(snapshot, Request("loans", "csv"), tmp_path / "out" / "o.csv")
    assert list((tmp_path / "out").iterdir()) == []


def test_a_file_that_is_there_is_kept_unless_forced(snapshot, tmp_path):
    file = tmp_path / "o.csv"
    file.write_text("mine", encoding="utf-8")
    with pytest.raises(UsageError, match="--force"):
        export(snapshot, Request("loans", "csv"), file)
    assert file.read_text(encoding="utf-8") == "mine"
    assert export(snapshot, Request("loans", "csv"), file, replace=True).rows == 3
    with pytest.raises(UsageError, match="is a folder"):
        export(snapshot, Request("loans", "csv"), tmp_path, replace=True)


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere")
def test_a_folder_that_cannot_be_written_is_said(snapshot, tmp_path):
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o500)
    with pytest.raises(ExportError, match="cannot be written"):
        export(snapshot, Request("loans", "csv"), closed / "o.csv")


def test_every_export_is_logged_and_the_log_runs_nothing(snapshot, tmp_path):
    for at in range(2):
        request = Request("loans", "csv", where="loan_id = '=1+1'" if at else None, columns=("loan_id",))
        done = export(snapshot, request, tmp_path / f"{at}.csv")
        log = record(tmp_path, snapshot, request, done, at=datetime(2026, 7, 1, 8, 30))
    with log.open(encoding="utf-8-sig", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["rows"] for row in rows] == ["3", "0"]
    assert rows[1]["where"] == "loan_id = '=1+1'"
    assert rows[0]["exported_at"] == "2026-07-01 08:30:00"
    assert (
        rows[0]["sha256"] == export(snapshot, Request("loans", "csv", columns=("loan_id",)), tmp_path / "z.csv").sha256
    )


def test_an_older_day_can_be_exported_as_long_as_it_is_kept(tmp_path):
    publish(tmp_path, {"fct_loan_as_of": loans(1)}, date(2026, 6, 29))
    newer = publish(tmp_path, {"fct_loan_as_of": loans(2)})
    (tmp_path / "published" / ".building-x").mkdir()
    assert snapshot_of(tmp_path, None).folder == newer.folder
    assert snapshot_of(tmp_path, date(2026, 6, 29)).as_of_date == date(2026, 6, 29)
    with pytest.raises(UsageError, match="Kept are: 2026-06-29, 2026-06-30"):
        snapshot_of(tmp_path, date(2026, 6, 28))
    assert default_file(tmp_path, newer, Request("loans", "csv")).name == "2026-06-30_loans.csv"


def test_every_offer_is_described_in_both_languages_and_names_one_row():
    for one in offers().values():
        assert one.tables, one.what
        assert "Una fila por" in one.description["es"], one.what
        assert "One row per" in one.description["en"], one.what
        assert len(one.title["es"]) <= 24, one.what  # the name of a sheet, with room for its number
        assert not set(one.title["es"]) & set("[]:*?/\\"), one.what
    assert heading("never_named", "en") == "Never named"
