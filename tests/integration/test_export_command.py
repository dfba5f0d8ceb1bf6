"""The export command on a real published day: files, refusals, the log, and memory that does not grow with the rows."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
import time

import duckdb
import pytest

from puntual.exports.export import Request, export
from puntual.exports.offers import has_heading, offers
from puntual.snapshot import Snapshot
from tests.bench_export import measured, write_snapshot
from tests.export_snapshots import csv_rows


def puntual(*arguments: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "puntual.cli", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=240)


def test_every_contact_of_one_person_in_order_within_seconds(finished_home, tmp_path):
    file = Snapshot.current(finished_home).table_path("rpt_contacts")
    busiest = (
        "select customer_id from read_parquet($1) group by customer_id order by count(*) desc, customer_id limit 1"
    )
    person = duckdb.execute(busiest, [str(file)]).fetchone()[0]
    begun = time.perf_counter()
    out = tmp_path / "contacts.csv"
    done = puntual("export", str(finished_home), "--what", "contacts", "--where", f"customer_id = '{person}'",
                   "--columns", "interaction_id,occurred_at,customer_id", "--out", str(out))  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert time.perf_counter() - begun < 20
    expected = duckdb.execute(
        "select interaction_id from read_parquet($1) where customer_id = $2 order by occurred_at, interaction_id",
        [str(file), person],
    ).fetchall()
    rows = csv_rows(out)[1:]
    assert [row[0] for row in rows] == [identifier for (identifier,) in expected]
    with (finished_home / "exports" / "log.csv").open(encoding="utf-8-sig", newline="") as stream:
        last = list(csv.DictReader(stream))[-1]
    assert (last["what"], last["rows"], last["file"]) == ("contacts", str(len(rows)), str(out))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--what", "gossip"], "is not offered"),
        (["--what", "loans", "--format", "pdf"], "Choose one of: xlsx, csv, parquet"),
        (["--what", "loans", "--where", "loan_id in (select 1)"], "a subquery"),
        (["--what", "loans", "--columns", "loan_idd"], "Did you mean loan_id"),
        (["--what", "loans", "--as-of", "1999-01-01"], "Kept are: "),
        (["--what", "loans", "--format", "csv", "--decimal-comma"], "needs --delimiter"),
    ],
)
def test_what_cannot_be_exported_is_one_message_and_exit_code_two(finished_home, arguments, said):
    done = puntual("export", str(finished_home), *arguments)
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_list_says_what_is_offered_in_the_language_asked_for(finished_home):
    done = puntual("export", str(finished_home), "--what", "list", "--language", "es")
    assert done.returncode == 0
    assert "Una fila por" in done.stdout
    assert "One row per" not in done.stdout


def test_an_empty_export_has_its_header_and_says_so(finished_home, tmp_path):
    done = puntual("export", str(finished_home), "--what", "loans", "--where", "past_due_days < 0", "--out",
                   str(tmp_path / "none.csv"))  # fmt: skip
    assert done.returncode == 0
    assert "no row meets the condition" in done.stdout
    assert len(csv_rows(tmp_path / "none.csv")) == 1


@pytest.mark.parametrize("what", list(offers()))
def test_everything_offered_can_be_made_of_a_published_day(finished_home, tmp_path, what):
    """Also that somebody said what each of its columns is called, and that it has no column twice."""
    snapshot = Snapshot.current(finished_home)
    done = export(snapshot, Request(what, "csv"), tmp_path / "o.csv")  # an absent table is a mistake of the publication
    assert len(csv_rows(done.path)) == done.rows + 1
    assert [name for name in done.columns if not has_heading(name)] == []  # puntual/exports/headings.yml


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("format_", ["csv", "xlsx", "parquet"])
def test_a_million_rows_take_bounded_memory(tmp_path, format_):
    write_snapshot(tmp_path, 1_000_000)
    one = measured(tmp_path, format_, tmp_path / f"o.{format_}")
    assert one["rows"] == 1_000_000
    assert one["peak_mb"] < 1_000, json.dumps(one)  # a sort's allowance, DuckDB's own and the process
