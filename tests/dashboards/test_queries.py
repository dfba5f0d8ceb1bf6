"""The SELECTs against the same figures added up with pandas."""

from __future__ import annotations

import threading
from pathlib import Path

import pandas as pd
import pytest

from dashboards import queries
from dashboards.queries import ContactFilter, Scope
from puntual.errors import PublishError
from puntual.snapshot import SCREEN_LIST, Snapshot


def table(folder: str, name: str) -> pd.DataFrame:
    return pd.read_parquet(Snapshot.at(Path(folder)).table_path(name))


def day_of(frame: pd.DataFrame, as_of) -> pd.DataFrame:
    return frame[pd.to_datetime(frame["as_of_date"]) == pd.Timestamp(as_of)]


@pytest.mark.parametrize(
    "scope",
    [Scope(), Scope(branches=("B1",)), Scope(branches=("B1", "B3"), products=("housing",))],
    ids=["everything", "one branch", "two branches and a product"],
)
def test_par30_is_outstanding_over_thirty_days_past_due_over_all_outstanding(folder, as_of, scope):
    book = day_of(table(folder, "fct_loan_as_of"), as_of)
    if scope.branches:
        book = book[book["branch_id"].isin(scope.branches)]
    if scope.products:
        book = book[book["product_code"].isin(scope.products)]
    owed = book["outstanding_principal_amount"]
    now = queries.portfolio_by_date(folder, scope).iloc[-1]
    assert now["par30_rate"] == pytest.approx(owed[book["past_due_days"] > 30].sum() / owed.sum())
    assert now["arrears_amount"] == pytest.approx(book["arrears_amount"].sum())
    assert now["loan_count"] == len(book)


def test_a_member_with_two_late_loans_counts_once(folder, as_of):
    book = day_of(table(folder, "fct_loan_as_of"), as_of)
    late = book.loc[book["past_due_days"] > 0, "customer_id"]
    assert late.duplicated().any()
    members = queries.members_by_date(folder, Scope(), (as_of,))
    assert members["member_in_arrears_count"].tolist() == [late.nunique()]


def test_buckets_add_up_to_the_book_and_none_is_missing(folder, as_of):
    buckets = queries.arrears_by_bucket(folder, Scope(), as_of)
    book = day_of(table(folder, "fct_loan_as_of"), as_of)
    assert list(buckets["bucket_rank"]) == list(range(10))
    assert buckets["arrears_amount"].sum() == pytest.approx(book["arrears_amount"].sum())
    assert buckets["loan_count"].sum() == len(book)


def test_every_movement_goes_from_opening_to_closing_to_the_cent(folder):
    periods = queries.movement_periods(folder)
    assert len(periods) == 12
    for period in periods.itertuples():
        movement = queries.arrears_movement(folder, Scope(), period.from_date, period.as_of_date)
        assert movement["amount"].iloc[:-1].sum() == pytest.approx(movement["amount"].iloc[-1], abs=0.005)


def test_a_scope_without_loans_gives_no_movement(folder):
    period = queries.movement_periods(folder).iloc[0]
    scope = Scope(branches=("nowhere",))
    assert queries.arrears_movement(folder, scope, period["from_date"], period["as_of_date"]).empty
    assert queries.portfolio_by_date(folder, scope).empty


@pytest.mark.parametrize(
    ("contacts", "keep"),
    [
        (ContactFilter(), lambda rows: rows["rank"] > 0),
        (ContactFilter(collector_id="C01"), lambda rows: rows["collector_id"] == "C01"),
        (ContactFilter(collector_id=queries.NO_COLLECTOR), lambda rows: rows["collector_id"].isna()),
        (ContactFilter(channel_code="sms"), lambda rows: rows["channel_code"] == "sms"),
        (ContactFilter(bucket_code="31-60"), lambda rows: rows["bucket_code"] == "31-60"),
        (ContactFilter(search="  PEREZ "), lambda rows: rows["full_name"].str.contains("Pérez")),
        (ContactFilter(search="%"), lambda rows: rows["rank"] < 0),
        (ContactFilter(search="'; drop table worklist; --"), lambda rows: rows["rank"] < 0),
    ],
    ids=[
        "all",
        "collector",
        "no collector",
        "channel",
        "bucket",
        "text without accents",
        "percent sign",
        "hostile text",
    ],
)
def test_filters_keep_the_contacts_they_name(folder, contacts, keep):
    worklist = table(folder, "worklist")
    expected = worklist[keep(worklist)]
    summary = queries.contact_summary(folder, contacts)
    assert summary["contact_count"].sum() == len(expected)
    assert summary["gain"].sum() == pytest.approx(expected["expected_gain_amount"].sum())


@pytest.mark.parametrize("order", queries.ORDERS)
def test_pages_hold_every_contact_once_in_any_order(folder, order):
    worklist = table(folder, "worklist")
    pages = -(-len(worklist) // queries.PAGE_ROWS)
    rows = [queries.contact_page(folder, ContactFilter(), order, page) for page in range(1, pages + 1)]
    assert sorted(pd.concat(rows)["customer_id"]) == sorted(worklist["customer_id"])


def test_prebuilt_file_is_handed_over_byte_for_byte(folder):
    file = queries.collector_file(folder, "C02")
    assert file == "worklists/C02.xlsx"
    assert queries.published_bytes(folder, file) == (Path(folder) / file).read_bytes()


def test_altered_file_is_refused(own_home):
    folder = str((own_home / "published" / "current").resolve())
    (Path(folder) / "worklists" / "all.csv").write_text("rank\n1\n", encoding="utf-8")
    with pytest.raises(PublishError, match=r"all\.csv .* altered after publication"):
        queries.published_bytes(folder, "worklists/all.csv")


@pytest.mark.parametrize("name", ["../../../puntual.yaml", "/etc/passwd", "worklists/nobody.xlsx"])
def test_only_published_files_are_handed_over(folder, name):
    with pytest.raises(PublishError, match="not a file of the snapshot"):
        queries.published_bytes(folder, name)


def test_damaged_table_is_named_and_says_what_to_do(own_home):
    folder = str((own_home / "published" / "current").resolve())
    (Path(folder) / SCREEN_LIST).write_bytes(b"PAR1 cut off")
    with pytest.raises(PublishError, match=r"worklists/screen\.parquet .* Publish again"):
        queries.contact_options(folder)


def test_readers_at_the_same_time_do_not_hold_each_other(folder, as_of):
    problems: list[Exception] = []

    def read() -> None:
        try:
            queries.select(folder, "select count(*) from worklist", ["worklist"])
        except Exception as error:  # the test reports whatever happened in the thread
            problems.append(error)

    readers = [threading.Thread(target=read) for _ in range(8)]
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join()
    assert problems == []
