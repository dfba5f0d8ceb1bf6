"""What lies on disk: the contract's types and keys, the same bytes again, and a truth that the tables bear out."""

from datetime import date, timedelta
from decimal import Decimal

import pandas as pd
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest

from models.lab.settings import FAMILIES, WorldSettings, with_dials
from models.lab.tables import month_end_before
from models.lab.write import CSV_TABLES, write_demo
from puntual.contracts.schema import load_contract
from puntual.errors import UsageError

AS_OF = date(2026, 6, 30)
TYPES = {
    "text": pa.string(),
    "date": pa.date32(),
    "timestamp": pa.timestamp("us", tz="UTC"),
    "money": pa.decimal128(14, 2),
    "unit_cost": pa.decimal128(14, 4),
    "double": pa.float64(),
    "integer": pa.int64(),
    "boolean": pa.bool_(),
}


def read(home, table):
    if table in CSV_TABLES:
        text = pa_csv.ConvertOptions(strings_can_be_null=True)
        return pa_csv.read_csv(home / "landing" / f"{table}.csv", convert_options=text)
    return pq.read_table(home / "landing" / f"{table}.parquet")


def test_same_arguments_give_the_same_bytes_and_another_seed_does_not(tmp_path):
    settings = WorldSettings(default_replications=2)
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        write_demo(tmp_path / name, members=80, seed=seed, as_of=AS_OF, settings=settings)
    files = sorted(path.relative_to(tmp_path / "a") for path in (tmp_path / "a").rglob("*.*"))
    assert len(files) == 17
    for file in files:
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes(), file
    payments = files[[file.name for file in files].index("payments.parquet")]
    assert (tmp_path / "a" / payments).read_bytes() != (tmp_path / "c" / payments).read_bytes()


@pytest.mark.parametrize("table", sorted(load_contract()))
def test_columns_and_types_are_the_contracts(clean_home, table):
    contract = load_contract()[table]
    written = read(clean_home, table)
    assert written.column_names == [column.name for column in contract.columns]
    for column in contract.columns:
        if table not in CSV_TABLES:
            assert written.schema.field(column.name).type == TYPES[column.type], column.name
        if column.required:
            assert written[column.name].null_count == 0, column.name
        if column.values:
            assert set(written[column.name].drop_null().unique().to_pylist()) <= set(column.values), column.name
    keys = written.select(contract.key).to_pandas()
    assert not keys.duplicated().any()


@pytest.mark.parametrize("table", sorted(load_contract()))
def test_every_reference_leads_somewhere(clean_home, table):
    for column in load_contract()[table].columns:
        if column.references:
            parent = load_contract()[column.references]
            known = set(read(clean_home, column.references)[parent.key[0]].to_pylist())
            assert set(read(clean_home, table)[column.name].drop_null().to_pylist()) <= known, column.name


def test_schedules_sum_to_the_principal_of_their_loan(clean_home):
    loans = read(clean_home, "loans").to_pandas().set_index("loan_id")
    due = read(clean_home, "installments").to_pandas().groupby("loan_id")["principal_due"].sum()
    assert (due.reindex(loans.index) == loans["principal"]).all()


def test_nothing_happens_on_or_after_the_as_of_date(clean_home):
    for table, column in (("payments", "paid_at"), ("interactions", "occurred_at"), ("promises", "made_at")):
        local = read(clean_home, table).to_pandas()[column].dt.tz_convert("America/Guayaquil")
        assert AS_OF - timedelta(days=5) <= local.max().date() < AS_OF


def test_contacts_are_made_in_working_hours(clean_home):
    frame = read(clean_home, "interactions").to_pandas()
    local = frame.loc[frame["direction"] == "outbound", "occurred_at"].dt.tz_convert("America/Guayaquil")
    assert local.dt.day_of_week.max() <= 4
    assert local.dt.hour.between(8, 18).all()
    holidays = {pd.Timestamp(day).date() for day in read(clean_home, "holidays")["date"].to_pylist()}
    assert not set(local.dt.date) & holidays


def recomputed_arrears(home, on):
    """Past-due days and arrears of every loan at the end of ``on``, loan by loan with decimals."""
    loans = read(home, "loans").to_pandas()
    payments = read(home, "payments").to_pandas()
    payments["day"] = payments["paid_at"].dt.tz_convert("America/Guayaquil").dt.date
    payments = payments[payments["day"] <= on]
    sign = payments["reverses_payment_id"].isna().map({True: 1, False: -1})
    paid = (payments["amount"] * sign).groupby(payments["loan_id"]).sum().to_dict()
    schedule = read(home, "installments").to_pandas().sort_values(["loan_id", "installment_no"])
    schedule["due"] = schedule["principal_due"] + schedule["interest_due"] + schedule["fees_due"]
    rows = {loan: list(zip(part["due_on"], part["due"], strict=True)) for loan, part in schedule.groupby("loan_id")}
    result = {}
    for loan in loans.itertuples():
        gone = [day for day in (loan.closed_on, loan.written_off_on) if pd.notna(day) and day <= on]
        if gone or loan.disbursed_on > on:
            continue
        left = paid.get(loan.loan_id, Decimal(0))
        arrears, days = Decimal(0), 0
        for due_on, due in rows[loan.loan_id]:
            open_part = due - min(left, due)
            left -= min(left, due)
            if due_on < on and open_part > Decimal("0.01"):
                arrears += open_part
                days = max(days, (on - due_on).days)
        result[loan.loan_id] = (days, arrears)
    return result


def test_arrears_of_the_truth_follow_from_the_written_tables(clean_home):
    truth = pd.read_parquet(clean_home / "truth" / "truth.parquet")
    active = truth[truth["active"]]
    expected = recomputed_arrears(clean_home, AS_OF)
    assert set(active["loan_id"]) == set(expected)
    for row in active.itertuples():
        days, arrears = expected[row.loan_id]
        assert (row.dpd, Decimal(str(round(row.arrears, 2)))) == (days, arrears), row.loan_id


def test_balances_of_the_core_agree_where_no_difference_was_put_in(clean_home):
    on = month_end_before(AS_OF)
    assert on == date(2026, 5, 31)
    expected = recomputed_arrears(clean_home, on)
    balances = read(clean_home, "loan_balances").to_pandas()
    assert set(balances["loan_id"]) == set(expected)
    for row in balances.itertuples():
        assert (row.days_past_due, row.arrears_amount) == expected[row.loan_id], row.loan_id


def test_closed_loans_are_paid_and_reversals_point_at_earlier_payments(clean_home):
    payments = read(clean_home, "payments").to_pandas().set_index("payment_id")
    undone = payments["reverses_payment_id"].dropna()
    assert len(undone) > 0
    for reversal, target in undone.items():
        assert payments.at[target, "loan_id"] == payments.at[reversal, "loan_id"]
        assert payments.at[target, "amount"] == payments.at[reversal, "amount"]
        assert payments.at[target, "paid_at"] < payments.at[reversal, "paid_at"]
    assert undone.is_unique


def test_faulty_rows_stay_far_below_the_share_that_stops_a_run(tmp_path):
    settings = WorldSettings(default_replications=1)
    clean = write_demo(
        tmp_path / "clean", members=300, seed=4, as_of=AS_OF, settings=settings.with_changes(error_share=0.0)
    )
    dirty = write_demo(tmp_path / "dirty", members=300, seed=4, as_of=AS_OF, settings=settings)
    for table, count in clean.row_counts.items():
        added = dirty.row_counts[table] - count
        assert added / max(count, 1) < 0.01, table
    assert dirty.row_counts["payments"] > clean.row_counts["payments"]
    assert (tmp_path / "clean/truth/truth.parquet").read_bytes() == (
        tmp_path / "dirty/truth/truth.parquet"
    ).read_bytes()


def test_too_few_members_are_refused(tmp_path):
    with pytest.raises(ValueError, match="too few"):
        write_demo(tmp_path, members=3, seed=1, as_of=AS_OF)


def test_control_totals_are_the_sums_of_the_balances(clean_home):
    totals = read(clean_home, "control_totals").to_pandas()
    balances = read(clean_home, "loan_balances").to_pandas()
    loans = read(clean_home, "loans").to_pandas()[["loan_id", "branch_id", "product"]]
    joined = balances.merge(loans, on="loan_id")
    expected = joined.groupby(["branch_id", "product"])["arrears_amount"].agg(["size", "sum"])
    groups = totals[totals["branch_id"] != "*"].set_index(["branch_id", "product"])
    assert groups["loan_count"].to_dict() == expected["size"].to_dict()
    assert groups["arrears_amount"].to_dict() == expected["sum"].to_dict()
    (whole,) = totals[totals["branch_id"] == "*"].to_dict("records")
    assert whole["product"] == "*"
    assert whole["loan_count"] == len(balances)
    assert whole["outstanding_principal"] == balances["outstanding_principal"].sum()


def test_every_difference_of_the_balances_is_in_the_truth(clean_home, tmp_path):
    assert len(pq.read_table(clean_home / "truth" / "truth_balances.parquet")) == 0
    settings = WorldSettings(error_share=0.0, balance_difference_share=0.3, default_replications=1)
    write_demo(tmp_path, members=300, seed=3, as_of=AS_OF, settings=settings)
    planted = pd.read_parquet(tmp_path / "truth" / "truth_balances.parquet")
    assert set(planted["cause"]) == {"missing_payment", "off_by_one", "rounding", "unknown"}
    expected = recomputed_arrears(tmp_path, month_end_before(AS_OF))
    seen = {"missing_payment": "both", "off_by_one": "days", "rounding": "neither", "unknown": "arrears"}
    causes = dict(zip(planted["loan_id"], planted["cause"], strict=True))
    for row in read(tmp_path, "loan_balances").to_pandas().itertuples():
        days, arrears = expected[row.loan_id]
        kind = causes.get(row.loan_id)
        assert (row.arrears_amount != arrears) <= (seen.get(kind) in {"both", "arrears"}), row.loan_id
        assert (row.days_past_due != days) <= (seen.get(kind) in {"both", "days"}), row.loan_id
        assert kind not in {"off_by_one", "unknown"} or (row.days_past_due, row.arrears_amount) != (days, arrears)


def test_people_forget_contacts_and_answers_and_nothing_else_changes(tmp_path, clean_home):
    settings = WorldSettings(
        error_share=0.0, balance_difference_share=0.0, default_replications=4, lost_share=0.2, unnoted_share=0.3
    )
    write_demo(tmp_path, members=500, seed=3, as_of=AS_OF, settings=settings)
    for table in ("payments", "promises", "message_events"):
        assert read(tmp_path, table).equals(read(clean_home, table)), table
    assert (tmp_path / "truth" / "truth.parquet").read_bytes() == (clean_home / "truth" / "truth.parquet").read_bytes()
    told, happened = (
        read(home, "interactions").to_pandas().set_index("interaction_id") for home in (tmp_path, clean_home)
    )
    assert set(told.index) < set(happened.index)
    by_people = happened["channel"].isin(["call", "visit"]) & happened["direction"].eq("outbound")
    lost = ~happened.index.isin(told.index)
    assert not lost[~by_people].any()
    assert not lost[happened["outcome"].eq("promise")].any()
    open_to_loss = by_people & happened["outcome"].ne("promise")
    assert lost[open_to_loss].mean() == pytest.approx(0.2, abs=0.02)
    kept = happened.loc[told.index]
    other = told["outcome"].ne(kept["outcome"])
    answered = by_people.loc[told.index] & kept["outcome"].isin(["right_party", "refusal", "dispute", "callback"])
    assert not other[~answered].any()
    assert set(told.loc[other, "outcome"]) == {"no_answer"}
    assert other[answered].mean() == pytest.approx(0.3, abs=0.04)
    assert told.drop(columns="outcome").equals(kept.drop(columns="outcome"))


def test_dials_are_moved_by_name_and_a_wrong_one_says_what_is_known():
    moved = with_dials(FAMILIES["digital"], ["habit_hidden=2", "effect=[1, 1, 1, 1, 1, 2]", "logged_weeks=0"])
    assert (moved.habit_hidden, moved.effect[-1], moved.logged_weeks, moved.name) == (2, 2, 0, "digital")
    assert with_dials(FAMILIES["types"], []) == FAMILIES["types"]
    for wrong in (
        "habit=2",
        "habit_hidden",
        "habit_hidden=much",
        "effect=[1, 2]",
        "effect=1",
        "lost_share=true",
        "law=types",
    ):
        with pytest.raises(UsageError, match=wrong.split("=")[0]):
            with_dials(FAMILIES["cooperative"], [wrong])
