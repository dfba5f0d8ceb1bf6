"""The door from end to end: what may arrive and must not break anything."""

import gzip
import json
from datetime import date

import pandas as pd
import pytest

from puntual.errors import LandingError


def payments(*lines):
    return "payment_id,loan_id,paid_at,amount,method\n" + "".join(f"{line}\n" for line in lines)


GOOD_PAYMENT = "P1,L1,2026-02-09 10:30:00,103.00,branch"


def test_good_files_are_loaded_with_types_lineage_and_zone(cooperative):
    report = cooperative.load(share=0)
    assert report.load_id == 1
    assert {name: table.new_count for name, table in report.tables.items()} == {
        "customers": 3,
        "loans": 2,
        "installments": 3,
        "payments": 3,
    }
    # Guayaquil is five hours behind UTC all year; the third payment says that it is in UTC already.
    assert cooperative.rows("payments", "payment_id, cast(paid_at as text), cast(amount as text), _source_row") == [
        ("P1", "2026-02-09 15:30:00", "103.00", 1),
        ("P2", "2026-03-13 04:30:00", "50.00", 2),
        ("P3", "2026-03-10 15:00:00", "92.00", 3),
    ]
    assert [row[0] for row in cooperative.rows("customers", "customer_id")] == ["007", "8", "9"]
    # Optional columns that were not delivered are there, and NULL.
    assert cooperative.rows("payments", "reverses_payment_id")[0] == (None,)


def test_all_contract_tables_exist_and_what_is_off_is_said(cooperative):
    report = cooperative.load()
    for table in ("interactions", "holidays", "message_events", "collectors", "branches"):
        assert cooperative.count(table) == 0
    assert "channel model is off" in report.missing_tables["interactions"]


def test_the_same_files_twice_add_nothing_and_are_not_read_again(cooperative):
    cooperative.load()
    before = cooperative.counts()
    report = cooperative.load()
    assert cooperative.counts() == before
    assert report.load_id is None
    assert not any(table.is_read for table in report.tables.values())
    assert report.tables["payments"].row_count == 3
    assert report.input_digests["payments.csv"]


def test_the_same_rows_in_another_file_add_no_version(cooperative):
    cooperative.load()
    lines = cooperative.files["payments.csv"].splitlines()
    cooperative.put("payments.csv", "\n".join([lines[0], *reversed(lines[1:])]) + "\n")
    report = cooperative.load()
    assert report.tables["payments"].is_read
    assert (report.tables["payments"].accepted_count, report.tables["payments"].new_count) == (3, 0)
    assert cooperative.count("payments") == 3


def test_a_corrected_row_becomes_a_new_version_and_the_old_one_stays(cooperative):
    cooperative.load()
    cooperative.put("payments.csv", cooperative.files["payments.csv"].replace("50.00", "55.00"))
    report = cooperative.load()
    assert report.tables["payments"].new_count == 1
    assert cooperative.rows("payments", "_load_id, cast(amount as text)")[-1] == (2, "55.00")
    # Back to what it was: the newest version differs again.
    cooperative.put("payments.csv", cooperative.files["payments.csv"])
    assert cooperative.load().tables["payments"].new_count == 1
    assert cooperative.count("payments") == 5


def test_a_late_file_in_a_folder_is_added(cooperative):
    (cooperative.landing / "payments.csv").unlink()
    cooperative.put("payments/2026-03.csv", payments("P2,L1,2026-03-12 23:30:00,50.00,agent"))
    cooperative.load()
    cooperative.put("payments/2026-02.csv", payments(GOOD_PAYMENT))
    report = cooperative.load()
    assert report.tables["payments"].new_count == 1
    assert sorted(row[0] for row in cooperative.rows("payments", "payment_id")) == ["P1", "P2"]


def test_an_old_file_that_is_looked_at_again_does_not_undo_a_newer_one(cooperative):
    (cooperative.landing / "payments.csv").unlink()
    cooperative.put("payments/1.csv", payments(GOOD_PAYMENT, "P9,L9,2026-02-09,1.00,branch"))  # P9: unknown loan
    cooperative.put("payments/2.csv", payments("P1,L1,2026-02-09 10:30:00,104.00,branch"))
    cooperative.load()
    assert cooperative.rows("payments", "payment_id, cast(amount as text)") == [("P1", "104.00")]
    cooperative.load(received_on=date(2026, 7, 1))
    assert cooperative.rows("payments", "payment_id, cast(amount as text)") == [("P1", "104.00")]


def test_a_late_row_that_is_older_than_raw_does_not_count(cooperative):
    cooperative.load()
    older = cooperative.files["loans.csv"].replace("200.00", "199.00").replace("06-01 08:00", "05-01 08:00")
    cooperative.put("loans.csv", older)
    report = cooperative.load(share=0)
    assert report.tables["loans"].new_count == 0
    assert report.tables["loans"].superseded_count == 2
    assert report.tables["loans"].reasons == {"superseded_in_raw": 2}


@pytest.mark.parametrize(
    ("table", "content", "cause"),
    [
        pytest.param("payments.csv", b"", "empty", id="empty file"),
        pytest.param(
            "payments.csv",
            b"payment_id,loan_id,paid_at,amount\nP1,L1,2026-02-09,103.00\nP2,L1,20",
            "cut off in row 2",
            id="csv cut off",
        ),
        pytest.param(
            "payments.csv",
            b'payment_id,loan_id,paid_at,amount\nP1,"L1,2026-02-09,103.00\nP2,L1,2026-02-09,1\n',
            "never closed",
            id="open quote",
        ),
        pytest.param(
            "payments.csv",
            b"payment_id,loan_id,amount\nP1,L1,103.00\n",
            "lacks the required column paid_at",
            id="required column",
        ),
        pytest.param(
            "payments.csv",
            b"payment_id,loan_id,paid_at,amount,Amount\nP1,L1,2026-02-09,1,1\n",
            "amount twice",
            id="column twice",
        ),
        pytest.param(
            "payments.csv.gz",
            gzip.compress(b"payment_id,loan_id,paid_at,amount\nP1,L1,2026-02-09,1\n" * 50)[:-9],
            "cut off or damaged",
            id="gzip cut off",
        ),
        pytest.param("payments.parquet", b"PAR1" + b"\0" * 100, "no Parquet footer", id="parquet cut off"),
        pytest.param("payments.parquet", b"PAR1" + b"\0" * 100 + b"PAR1", "damaged", id="parquet corrupt"),
        pytest.param("payments.parquet", b"payment_id,loan_id\n", "not a Parquet file", id="csv named parquet"),
        pytest.param(None, None, "no file payments.parquet", id="required table missing"),
    ],
)
def test_a_bad_file_stops_at_the_door_and_raw_stays_as_it_was(cooperative, table, content, cause):
    cooperative.load()
    before = cooperative.counts()
    (cooperative.landing / "payments.csv").unlink()
    cooperative.put("customers.csv", cooperative.files["customers.csv"].replace("Eva", "Eva María"))
    if table:
        cooperative.put(table, content)
    with pytest.raises(LandingError, match=cause) as caught:
        cooperative.load()
    assert "payments" in str(caught.value) and "report.html" in str(caught.value)
    assert cooperative.counts() == before


def test_a_folder_that_is_not_there_is_an_error_that_names_it(empty_cooperative):
    empty_cooperative.landing.rmdir()
    with pytest.raises(LandingError, match="landing"):
        empty_cooperative.load()


def test_a_file_with_only_a_header_is_a_table_without_rows(cooperative):
    cooperative.put("payments.csv", payments())
    assert cooperative.load().tables["payments"].row_count == 0
    cooperative.put("loans.csv", cooperative.files["loans.csv"].splitlines()[0] + "\n")
    cooperative.load()
    assert cooperative.count("loans") == 2


def test_no_loan_ever_is_an_error(cooperative):
    cooperative.put("loans.csv", cooperative.files["loans.csv"].splitlines()[0] + "\n")
    with pytest.raises(LandingError, match="loans: no usable row"):
        cooperative.load()


AWKWARD = """\
METHOD;Amount;extra;paid_at;loan_id;payment_id
transfer;"1.234,50";x;05/03/2026 10:30;L1;P1
;20,5;y;06/03/2026;L2;P2
"""


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(AWKWARD.encode(), id="utf-8"),
        pytest.param(AWKWARD.replace("\n", "\r\n").encode("utf-8-sig"), id="bom and crlf"),
        pytest.param(AWKWARD.replace("x;", "ñ;").encode("latin-1"), id="latin-1"),
        pytest.param(AWKWARD.encode("utf-16"), id="utf-16"),
        pytest.param(AWKWARD.replace("\n", "\r\n", 2).encode(), id="line ends of two kinds"),
        pytest.param(AWKWARD.rstrip("\n").encode(), id="no newline at the end"),
        pytest.param(AWKWARD.replace(";", "\t").encode(), id="tabs"),
    ],
)
def test_separators_encodings_decimal_commas_and_day_first_dates_are_read(cooperative, content):
    cooperative.put("payments.csv", content)
    report = cooperative.load(share=0)
    assert cooperative.rows("payments", "payment_id, loan_id, cast(paid_at as text), cast(amount as text), method") == [
        ("P1", "L1", "2026-03-05 15:30:00", "1234.50", "transfer"),
        ("P2", "L2", "2026-03-06 05:00:00", "20.50", None),
    ]
    assert report.tables["payments"].extra_columns == ("extra",)
    assert "decimal commas" in " ".join(report.notes())


def test_latin_1_names_arrive_whole(cooperative):
    cooperative.put("customers.csv", cooperative.files["customers.csv"], encoding="latin-1")
    cooperative.load(share=0)
    assert [row[0] for row in cooperative.rows("customers", "full_name")] == ["Ana Núñez", "Luis Peña", "Eva Toro"]


def test_compressed_csv_and_parquet_of_a_data_frame_are_read(cooperative):
    (cooperative.landing / "customers.csv").unlink()
    cooperative.put("customers.csv.gz", gzip.compress(cooperative.files["customers.csv"].encode()))
    frame = pd.DataFrame(
        {
            "payment_id": ["P1", "P2"],
            "loan_id": ["L1", "L2"],
            "paid_at": pd.to_datetime(["2026-02-09 10:30", "2026-03-10 10:00"]),
            "amount": [103.0, 0.29],
            "method": [None, None],
            "collector_id": [float("nan"), 12.0],
        }
    )
    (cooperative.landing / "payments.csv").unlink()
    frame.to_parquet(cooperative.landing / "payments.parquet")
    cooperative.load(share=0)
    assert cooperative.rows("payments", "payment_id, cast(amount as text), method, collector_id") == [
        ("P1", "103.00", None, None),
        ("P2", "0.29", None, "12"),
    ]


def test_a_line_with_too_few_fields_goes_to_quarantine_and_later_rows_keep_their_number(cooperative):
    cooperative.put(
        "payments.csv", payments(GOOD_PAYMENT, "P2,L1", "P3,L2,2026-03-10,-5,branch", "P4,L2,2026-03-10,5,agent")
    )
    report = cooperative.load()
    assert cooperative.rejected() == {
        ("payments", "payments.csv", 2): '["malformed_line"]',
        ("payments", "payments.csv", 3): '["out_of_range:amount"]',
    }
    assert cooperative.rows("payments", "payment_id, _source_row") == [("P1", 1), ("P4", 4)]
    assert report.tables["payments"].row_count == 4


@pytest.mark.parametrize(
    ("line", "reasons"),
    [
        pytest.param("P4,L1,2026-03-10,-1.00,branch", ["out_of_range:amount"], id="negative amount"),
        pytest.param("P4,L1,2026-03-10,0,branch", ["out_of_range:amount"], id="zero"),
        pytest.param("P4,L1,2026-03-10,many,branch", ["unreadable:amount"], id="no number"),
        pytest.param("P4,L1,2026-02-30,1,branch", ["unreadable:paid_at"], id="day that does not exist"),
        pytest.param("P4,L1,2026-07-02 00:00:01,1,branch", ["in_the_future:paid_at"], id="future"),
        pytest.param("P4,L1,0001-01-01,1,branch", ["impossible_date:paid_at"], id="filler date"),
        pytest.param("P4,L9,2026-03-10,1,branch", ["orphan:loan_id"], id="unknown loan"),
        pytest.param("P4,,2026-03-10,1,branch", ["missing:loan_id"], id="no loan"),
        pytest.param("P4,L1,2026-03-10,1,gold", ["not_in_list:method"], id="unknown method"),
        pytest.param(
            ",L9,2027-01-01,-1,gold",
            [
                "in_the_future:paid_at",
                "missing:payment_id",
                "not_in_list:method",
                "orphan:loan_id",
                "out_of_range:amount",
            ],
            id="all at once",
        ),
    ],
)
def test_a_bad_row_is_rejected_whole_with_every_reason(cooperative, line, reasons):
    cooperative.put("payments.csv", payments(GOOD_PAYMENT, line))
    cooperative.load()
    assert {key: json.loads(value) for key, value in cooperative.rejected().items()} == {
        ("payments", "payments.csv", 2): reasons
    }
    assert cooperative.count("payments") == 1
    kept = cooperative.warehouse.read("select row_json from raw.rejected_rows")["row_json"][0]
    assert [value or "" for value in json.loads(kept).values()] == line.split(",")
    quarantined = (cooperative.root / "quarantine" / "run-1" / "payments.csv").read_text().splitlines()
    assert quarantined[0] == "_source_file,_source_row,_reasons,payment_id,loan_id,paid_at,amount,method"
    assert quarantined[1].startswith("payments.csv,2,") and quarantined[1].endswith(line)


def test_the_last_moment_of_tomorrow_is_accepted(cooperative):
    cooperative.put("payments.csv", payments(GOOD_PAYMENT, "P4,L1,2026-07-01 23:59:59,1,branch"))
    cooperative.load(share=0)
    assert cooperative.count("payments") == 2


@pytest.mark.parametrize(
    ("file", "old", "new", "reason"),
    [
        pytest.param(
            "installments.csv",
            "L2,1,2026-03-10",
            "L2,1,2026-02-09",
            "rule:due_after_disbursement",
            id="due before disbursement",
        ),
        pytest.param("installments.csv", "90.50", "-90.50", "out_of_range:principal_due", id="negative instalment"),
        pytest.param("loans.csv", "L2,8", "L2,88", "orphan:customer_id", id="loan of nobody"),
        pytest.param(
            "loans.csv",
            "2026-02-10,active",
            "2026-09-10,active",
            "in_the_future:disbursed_on",
            id="disbursed in the future",
        ),
        pytest.param("customers.csv", "Toro,dispute", "Toro,Dispute!", "not_in_list:status", id="unknown status"),
    ],
)
def test_impossible_rows_are_rejected(cooperative, file, old, new, reason):
    cooperative.put(file, cooperative.files[file].replace(old, new))
    cooperative.load()
    found = {key: value for key, value in cooperative.rejected().items() if key[1] == file}
    assert list(found.values()) == [json.dumps([reason])]


def test_an_instalment_due_on_the_day_of_disbursement_is_accepted(cooperative):
    cooperative.put(
        "installments.csv", cooperative.files["installments.csv"].replace("L2,1,2026-03-10", "L2,1,2026-02-10")
    )
    cooperative.load(share=0)


def test_a_promise_is_compared_with_the_local_day_on_which_it_was_made(cooperative):
    # 21:00 on the 5th in Guayaquil is already the 6th in UTC; a promise for the same evening is possible.
    cooperative.put(
        "promises.csv",
        "promise_id,loan_id,made_at,due_on,amount\nQ1,L1,2026-03-05 21:00:00,2026-03-05,10\n"
        "Q2,L1,2026-03-05 21:00:00,2026-03-04,10\n",
    )
    cooperative.load()
    assert list(cooperative.rejected().items()) == [(("promises", "promises.csv", 2), '["rule:due_after_made"]')]


def test_rows_of_a_rejected_parent_are_orphans(cooperative):
    cooperative.put("loans.csv", cooperative.files["loans.csv"].replace("L2,8,USD,90.50", "L2,8,USD,-90.50"))
    cooperative.load()
    assert cooperative.rejected() == {
        ("loans", "loans.csv", 2): '["out_of_range:principal"]',
        ("installments", "installments.csv", 3): '["orphan:loan_id"]',
        ("payments", "payments.csv", 3): '["orphan:loan_id"]',
    }


def test_an_orphan_is_replayed_once_its_loan_arrives_though_its_own_file_is_the_same(cooperative):
    whole = cooperative.files["loans.csv"]
    cooperative.put("loans.csv", "\n".join(whole.splitlines()[:2]) + "\n")
    cooperative.load()
    assert cooperative.count("payments") == 2
    cooperative.put("loans.csv", whole)
    report = cooperative.load(share=0)
    assert cooperative.count("payments") == 3
    assert report.tables["payments"].new_count == 1
    assert not report.tables["customers"].is_read


def test_rejected_rows_are_not_counted_again_when_nothing_has_changed(cooperative):
    cooperative.put("payments.csv", payments(GOOD_PAYMENT, "P4,L9,2026-03-10,1,branch"))
    cooperative.load()
    before = cooperative.counts()
    report = cooperative.load()
    assert cooperative.counts() == before
    assert report.tables["payments"].rejected_count == 1
    assert report.tables["payments"].reasons == {"orphan:loan_id": 1}
    with pytest.raises(LandingError, match="1 of 2 rows"):
        cooperative.load(share=0)


def test_exact_duplicates_are_counted_and_ignored(cooperative):
    cooperative.put("payments.csv", payments(GOOD_PAYMENT, GOOD_PAYMENT, GOOD_PAYMENT))
    report = cooperative.load(share=0)
    assert report.tables["payments"].duplicate_count == 2
    assert (cooperative.count("payments"), cooperative.count("rejected_rows")) == (1, 0)


def test_of_two_rows_with_one_key_the_newest_wins(cooperative):
    header = cooperative.files["loans.csv"].splitlines()[0]
    newer = "L1,007,USD,210.00,2026-01-10,active,2026-06-02 08:00:00"
    older = "L1,007,USD,200.00,2026-01-10,active,2026-06-01 08:00:00"
    other = "L2,8,USD,90.50,2026-02-10,active,2026-06-01 08:00:00"
    cooperative.put("loans.csv", "\n".join([header, newer, older, other]) + "\n")
    # Without updated_at the last row wins.
    cooperative.put("payments.csv", payments(GOOD_PAYMENT, GOOD_PAYMENT.replace("103.00", "13.00")))
    report = cooperative.load(share=0)
    assert cooperative.rows("loans", "loan_id, cast(principal as text)") == [("L1", "210.00"), ("L2", "90.50")]
    assert cooperative.rows("payments", "payment_id, cast(amount as text)") == [("P1", "13.00")]
    assert cooperative.rejected() == {
        ("loans", "loans.csv", 2): '["superseded_in_load"]',
        ("payments", "payments.csv", 1): '["superseded_in_load"]',
    }
    assert report.tables["loans"].bad_count == 0


def test_a_bad_row_does_not_supersede_a_good_one(cooperative):
    cooperative.put("payments.csv", payments(GOOD_PAYMENT, GOOD_PAYMENT.replace("103.00", "-1")))
    cooperative.load()
    assert cooperative.rows("payments", "payment_id, cast(amount as text)") == [("P1", "103.00")]


def test_a_rewritten_schedule_replaces_the_whole_old_one(cooperative):
    cooperative.load()
    header = cooperative.files["installments.csv"].splitlines()[0]
    cooperative.put(
        "installments.csv", f"{header}\nL1,1,2026-02-10,100.00,3.00,0.00\nL1,3,2026-08-10,100.00,9.00,0.00\n"
    )
    report = cooperative.load(share=0)
    assert (report.tables["installments"].new_count, report.tables["installments"].deleted_count) == (1, 1)
    # L2 was not in the file: its schedule stands. L1's second instalment is gone, its first was not touched.
    assert cooperative.rows(
        "installments", "loan_id, installment_no, _load_id, _is_deleted", "loan_id, installment_no, _load_id"
    ) == [
        ("L1", 1, 1, False),
        ("L1", 2, 1, False),
        ("L1", 2, 2, True),
        ("L1", 3, 2, False),
        ("L2", 1, 1, False),
    ]
    # And back again: the deleted instalment returns as a new version.
    cooperative.put("installments.csv", cooperative.files["installments.csv"])
    again = cooperative.load(share=0)
    assert (again.tables["installments"].new_count, again.tables["installments"].deleted_count) == (1, 1)


def test_a_rejected_instalment_keeps_the_one_that_raw_has(cooperative):
    cooperative.load()
    cooperative.put("installments.csv", cooperative.files["installments.csv"].replace("L1,2,2026-03-10", "L1,2,soon"))
    report = cooperative.load()
    assert (report.tables["installments"].rejected_count, report.tables["installments"].deleted_count) == (1, 0)


def test_clock_changes_move_missing_times_forward_and_read_repeated_ones_as_the_later(cooperative):
    # Santiago 2025: 7 September 00:00 becomes 01:00; 5 April 24:00 becomes 23:00, so 23:30 comes twice.
    cooperative.timezone = "America/Santiago"
    loans = cooperative.files["loans.csv"].replace("2026-01-10", "2025-01-10")
    cooperative.put("loans.csv", loans)
    cooperative.put(
        "payments.csv", payments("P1,L1,2025-09-07 00:30:00,1,branch", "P2,L1,2025-04-05 23:30:00,1,branch")
    )
    cooperative.load(share=0)
    assert cooperative.rows("payments", "payment_id, cast(paid_at as text)") == [
        ("P1", "2025-09-07 04:30:00"),
        ("P2", "2025-04-06 03:30:00"),
    ]


def test_too_many_bad_rows_stop_the_load_with_counts_reasons_and_report(cooperative):
    bad = [f"X{number},L9,2026-03-10,1,branch" for number in range(3)]
    good = [f"Y{number},L1,2026-03-10,1,branch" for number in range(97)]
    cooperative.put("payments.csv", payments(*bad, *good))
    with pytest.raises(LandingError, match=r"3 of 100 rows .*3.00%.*orphan:loan_id \(3\)"):
        cooperative.load(share=0.02)
    with pytest.raises(Exception, match="raw"):
        cooperative.count("payments")
    assert (cooperative.root / "quarantine" / "run-1" / "payments.csv").exists()
    assert cooperative.load(share=0.03).tables["payments"].accepted_count == 97


def test_the_check_without_a_warehouse_says_the_same_and_writes_none(cooperative):
    cooperative.put("payments.csv", payments(GOOD_PAYMENT, "P4,L9,2026-03-10,1,branch"))
    report = cooperative.validate(share=0)
    assert not report.is_acceptable
    assert report.tables["payments"].reasons == {"orphan:loan_id": 1}
    assert report.html_path.exists()
    assert list((cooperative.root / "warehouse").iterdir()) == []
    assert ("payments", "1", "2", "1", "0", "too many rejected") in report.summary_rows()


def test_an_optional_table_whose_parent_was_never_delivered_is_loaded_unchecked(cooperative):
    cooperative.put("message_events.csv", "message_event_id,interaction_id,status,at\nM1,I1,sent,2026-03-01 10:00:00\n")
    report = cooperative.load(share=0)
    assert "never delivered" in report.tables["message_events"].unchecked[0]
    assert cooperative.count("message_events") == 1


def test_hostile_text_is_kept_as_text(cooperative):
    name = "Robert'); drop table raw.loans;-- =cmd|' /C calc'!A0"
    cooperative.put("customers.csv", cooperative.files["customers.csv"].replace("Eva Toro", f'"{name}"'))
    cooperative.put("payments/o'brien; --.csv", payments("P7,L1,2026-02-09,1.00,branch"))
    cooperative.load(share=0)
    assert cooperative.rows("customers", "full_name")[-1] == (name,)


def test_the_report_reads_without_a_network_in_spanish_first(cooperative):
    cooperative.put("payments.csv", payments(GOOD_PAYMENT, "P4,L9,2026-03-10,<script>,branch"))
    html = cooperative.load().html_path.read_text()
    assert "http" not in html and "<script" not in html
    assert html.index("Recepción") < html.index("Reception")
    assert "loan_id no existe en su tabla" in html and "payments.csv fila / row 2" in html
    results = json.loads((cooperative.root / "reports/validation/run-1/payments.json").read_text())
    assert results["success"] is False
    failed = [result for result in results["results"] if not result["success"]]
    assert {result["reason"] for result in failed} == {"unreadable:", "orphan:", "missing:amount"}


def test_damage_in_the_middle_of_a_parquet_file_stops_the_load(cooperative):
    cooperative.load()
    before = cooperative.counts()
    frame = pd.DataFrame(
        {"payment_id": [f"P{n}" for n in range(5000)], "loan_id": "L1", "paid_at": "2026-03-01", "amount": 1.0}
    )
    (cooperative.landing / "payments.csv").unlink()
    path = cooperative.landing / "payments.parquet"
    frame.to_parquet(path)
    content = bytearray(path.read_bytes())
    content[4:2000] = bytes(1996)
    path.write_bytes(content)
    with pytest.raises(LandingError, match=r"payments\.parquet: the file is damaged"):
        cooperative.load()
    assert cooperative.counts() == before


def test_a_file_whose_lines_never_fit_the_header_stops_the_load(cooperative):
    cooperative.put("payments.csv", payments(*["P1,L1,2026-03-01,1,branch,surplus"] * 10_001))
    with pytest.raises(LandingError, match="more than 10,000 lines"):
        cooperative.load()


def test_the_same_run_again_keeps_its_report_and_quarantine(cooperative):
    cooperative.put("payments.csv", payments(GOOD_PAYMENT, "P4,L9,2026-03-10,1,branch"))
    report = cooperative.load()
    first = report.html_path.read_bytes()
    cooperative.runs = 0
    again = cooperative.load()
    assert again.html_path.read_bytes() == first
    assert (cooperative.root / "quarantine" / "run-1" / "payments.csv").exists()


def test_a_quarantined_row_put_right_and_dropped_into_the_folder_is_loaded(cooperative):
    cooperative.put("payments/main.csv", payments("P4,L9,2026-03-10,1,branch"))
    cooperative.load()
    fixed = (cooperative.root / "quarantine" / "run-1" / "payments.csv").read_text().replace("L9", "L1")
    cooperative.put("payments/fixed.csv", fixed)
    (cooperative.landing / "payments" / "main.csv").unlink()
    report = cooperative.load(share=0)
    assert report.tables["payments"].new_count == 1
    assert report.tables["payments"].extra_columns == ("_reasons", "_source_file", "_source_row")
