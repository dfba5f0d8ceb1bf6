"""The compiled SQL of the roll rates and of the survival curve on books drawn at random."""

from __future__ import annotations

from collections import defaultdict
from datetime import date, timedelta
from pathlib import Path

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from puntual.kpis.statistics import kaplan_meier
from tests.dbt.book import AS_OF, Book
from tests.dbt.warehouses import duckdb_environment, load_duckdb, run_dbt

BUCKETS = ["0", "1-5", "6-15", "16-30", "31-60"]
MAY = date(2026, 5, 31)
STATES = st.one_of(st.none(), st.tuples(st.sampled_from(["active", "closed", "written_off"]), st.sampled_from(BUCKETS)))
LOANS = st.lists(
    st.tuples(st.sampled_from(["B1", "B2"]), STATES, STATES, st.integers(0, 1_000)), min_size=1, max_size=30
)
SPELLS = st.lists(
    st.tuples(st.integers(0, 400), st.integers(1, 200), st.sampled_from(["cured", "paid_off", "written_off", "open"])),
    min_size=1,
    max_size=40,
)
SLOW = settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("compiled")
    load_duckdb(Book(), folder / "warehouse.duckdb")
    names = ["rpt_roll_rates", "kpi_values__roll_rates", "kpi_values__time_to_cure"]
    run_dbt(["compile", "--select", *names], duckdb_environment(folder / "warehouse.duckdb"), folder)
    files = {file.stem: file for file in (folder / "target" / "compiled").rglob("*.sql")}
    return {name: Path(files[name]).read_text(encoding="utf-8") for name in names}


@pytest.fixture(scope="module")
def connection() -> duckdb.DuckDBPyConnection:
    made = duckdb.connect()
    made.execute("attach ':memory:' as warehouse")
    made.execute("use warehouse")
    for schema in ("marts", "kpis", "reference", "intermediate", "reporting"):
        made.execute(f"create schema {schema}")
    made.execute(
        "create table kpis.kpi_periods as select 'month' as period_code, date '2026-06-30' as as_of_date,"
        " date '2026-06-01' as first_date, date '2026-05-31' as opening_date, true as is_complete"
    )
    made.execute("create table reference.dpd_buckets (bucket_code text, bucket_rank bigint)")
    made.executemany("insert into reference.dpd_buckets values (?, ?)", [(b, k) for k, b in enumerate(BUCKETS)])
    made.execute(
        "create table marts.fct_loan_as_of (as_of_date date, loan_id text, branch_id text, product_code text,"
        " segment_code text, loan_status_code text, bucket_code text, outstanding_principal_amount numeric(18, 2))"
    )
    made.execute("create table marts.dim_branches (branch_id text, province text)")
    made.execute(
        "create table intermediate.int_loans__arrears_spells (loan_id text, entered_date date, observed_to_date date,"
        " is_cure boolean)"
    )
    made.execute("create table intermediate.int_loans__lifespans (loan_id text, branch_id text, product_code text)")
    return made


@SLOW
@given(LOANS)
def test_every_row_of_a_matrix_sums_to_one_and_nobody_is_lost(
    compiled: dict[str, str], connection: duckdb.DuckDBPyConnection, loans: list
) -> None:
    connection.execute("delete from marts.fct_loan_as_of")
    opening: dict[tuple[str, str], int] = defaultdict(int)
    rows = []
    for place, (branch, before, after, balance) in enumerate(loans):
        if before is not None:
            rows.append((MAY, f"L{place}", branch, "p", "s", *before, balance))
            if before[0] == "active":
                opening[branch, before[1]] += 1
        if after is not None:
            rows.append((AS_OF, f"L{place}", branch, "p", "s", *after, balance))
    if rows:
        connection.executemany("insert into marts.fct_loan_as_of values (?, ?, ?, ?, ?, ?, ?, ?)", rows)
    connection.execute(f"create or replace table reporting.rpt_roll_rates as {compiled['rpt_roll_rates']}")
    found = connection.execute(
        "select branch_id, from_bucket_code, sum(loan_count), sum(count_rate), sum(balance_rate),"
        " sum(opening_balance_amount) from reporting.rpt_roll_rates group by 1, 2"
    ).fetchall()
    assert {(branch, bucket): int(count) for branch, bucket, count, *_ in found} == dict(opening)
    for _, _, _, by_count, by_balance, balance in found:
        assert by_count == pytest.approx(1)
        assert by_balance == (pytest.approx(1) if balance else None)
    shares = connection.execute(
        "select sum(numerator / denominator) from (" + compiled["kpi_values__roll_rates"] + ") as cells"
        " where kpi_code = 'K12_COUNT' group by grain_code, branch_id, product_code, segment_code, province, split_part(detail_code, '>', 1)"
    ).fetchall()
    assert all(share == pytest.approx(1) for (share,) in shares)


@SLOW
@given(SPELLS)
def test_survival_in_sql_is_the_estimate_by_hand(
    compiled: dict[str, str], connection: duckdb.DuckDBPyConnection, spells: list
) -> None:
    for table in ("int_loans__arrears_spells", "int_loans__lifespans"):
        connection.execute(f"delete from intermediate.{table}")
    days, events = [], []
    for place, (ago, length, ending) in enumerate(spells):
        entered = AS_OF - timedelta(days=ago)
        ended = date(9999, 12, 31) if ending == "open" else entered + timedelta(days=length)
        is_cure = ending in {"cured", "paid_off"}
        connection.execute("insert into intermediate.int_loans__lifespans values (?, 'B1', 'p')", [f"L{place}"])
        connection.execute(
            "insert into intermediate.int_loans__arrears_spells values (?, ?, ?, ?)",
            [f"L{place}", entered, ended, is_cure],
        )
        if ago < 365:
            days.append((min(ended, AS_OF) - entered).days)
            events.append(is_cure and ended <= AS_OF)
    rows = connection.execute(
        f"select kpi_code, detail_code, numerator from ({compiled['kpi_values__time_to_cure']}) as curve"
        " where grain_code = 'total'"
    ).fetchall()
    curve = kaplan_meier(days, events) if days else []
    assert {int(day): share for code, day, share in rows if code == "K17_SURVIVAL"} == pytest.approx(
        {day: share for day, share in curve if day <= 180}, abs=1e-9
    )
    median = next((day for day, share in curve if share <= 0.5 + 1e-12), None)
    assert [value for code, _, value in rows if code == "K17"] == ([median] if days else [])
