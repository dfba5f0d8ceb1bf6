"""Consecutive days, each with the files of that day, end in the tables of one full refresh."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import duckdb
import pytest

from pipelines.run import run_day, run_days
from puntual.errors import PuntualError, UsageError
from puntual.homes import create_demo
from puntual.paths import Home

pytestmark = pytest.mark.long

AS_OF = date(2026, 6, 30)
MEMBERS = 150
LATE_DAYS = 3
# What tells of events, with the moment that decides on which day the source can know of them.
MOMENTS = {"payments": "paid_at", "interactions": "occurred_at", "promises": "made_at", "message_events": '"at"'}
# What else a core does to its past: table and rows that a morning's file has in place of ``{rows}``. They take turns, from
# the last day backwards, and the next morning's files know nothing of them: what was corrected is put back.
CORRECTIONS = [
    ("message_events", """
        select * replace (
            case when hash(message_event_id) % 10 < 5 then 'failed' else status end as status,
            case when hash(message_event_id) % 10 < 3 then "at" end as "at"
        ) from {rows}
        where hash(interaction_id) % 4 = 0 union all from {rows} where hash(interaction_id) % 4 > 0"""),
    # A payment is undone weeks later; no later file has the reversal, and it stands: only schedules lose rows.
    ("payments", """
        from {rows} union all
        select 'undone-' || payment_id, loan_id, timestamptz '{day} 15:00:00+00', amount, method, payment_id, collector_id
        from {rows} where hash(payment_id) % 41 = 0 and reverses_payment_id is null
            and paid_at between timestamptz '{day} 00:00:00+00' - interval 60 days and timestamptz '{day} 00:00:00+00'"""),
    ("collectors", "select * replace (case when agency is null then 'Gestores Asociados' end as agency) from {rows}"),
    # Later dues, and the last one is gone.
    ("installments", """
        select * replace (case when hash(loan_id) % 9 = 0 and due_on > date '{day}' - 90 then due_on + 12 else due_on end as due_on)
        from {rows}
        qualify hash(loan_id) % 9 > 0 or installment_no < max(installment_no) over (partition by loan_id)"""),
    ("promises", "select * replace (case when hash(promise_id) % 3 = 0 then due_on + 4 else due_on end as due_on) from {rows}"),
    ("customers", """
        select * replace (
            case when hash(customer_id) % 8 = 0 then max(branch_id) over () else min(branch_id) over () end as branch_id
        ) from {rows} where hash(customer_id) % 4 = 0 union all from {rows} where hash(customer_id) % 4 > 0"""),
    # Left out of a file that should be whole; what was delivered once stands.
    ("payments", "from {rows} where hash(payment_id) % 97 > 0"),
]  # fmt: skip


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A demo whose landing folder is the institution's own database: each day's files are cut from it."""
    home = tmp_path_factory.mktemp("source") / "home"
    create_demo(home, members=MEMBERS, seed=3, as_of=AS_OF)
    return home


def deliver(source: Path, landing: Path, day: date) -> None:
    """The files of one morning.

    Every eleventh payment is only known three days after it came. Every thirteenth was first delivered with a wrong amount,
    corrected the day after; every seventeenth contact with another outcome. A loan that closed later was still active. One
    of the corrections above is in force. On every fifth day no file changes.
    """
    if day.day % 5 == 3 and any(landing.glob("payments.*")):
        return
    shutil.rmtree(landing, ignore_errors=True)
    landing.mkdir(parents=True)
    zone = ZoneInfo("America/Guayaquil")
    known = datetime.combine(day + timedelta(days=1), time(), zone).astimezone(ZoneInfo("UTC")).replace(tzinfo=None)
    fresh, late = known - timedelta(days=1), known - timedelta(days=LATE_DAYS)
    corrected, correction = CORRECTIONS[(AS_OF - day).days % len(CORRECTIONS)]
    with duckdb.connect() as database:
        database.execute("set timezone = 'UTC'")
        for file in sorted((source / "landing").iterdir()):
            name = file.stem
            if file.suffix not in {".csv", ".parquet"}:
                continue
            if name not in {*MOMENTS, "loans", "installments", "loan_balances", corrected}:
                shutil.copy(file, landing / file.name)
                continue
            query = f"from '{file}'"
            if name == "loans":
                query = f"""
                    select * replace (
                        case when least(closed_on, written_off_on) > date '{day}' then 'active' else status end as status,
                        case when closed_on <= date '{day}' then closed_on end as closed_on,
                        case when written_off_on <= date '{day}' then written_off_on end as written_off_on,
                        case when restructured_on <= date '{day}' then restructured_on end as restructured_on,
                        least(updated_at, timestamp '{fresh}') as updated_at
                    ) from '{file}' where disbursed_on <= date '{day}'"""
            elif name in {"installments", "loan_balances"}:
                loans = source / "landing" / "loans.parquet"
                query += f" where loan_id in (select loan_id from '{loans}' where disbursed_on <= date '{day}')"
            elif name in MOMENTS:
                moment = f"cast({MOMENTS[name]} as timestamp)"
                query += f" where {moment} < timestamp '{known}'"
            if name == "payments":
                query = f"""
                    select * replace (
                        case when hash(payment_id) % 13 = 0 and {moment} >= timestamp '{fresh}' then amount + 1 else amount end
                            as amount
                    ) {query} and (hash(payment_id) % 11 <> 0 or {moment} < timestamp '{late}')"""
            if name == "interactions":
                query = f"""
                    select * replace (
                        case when hash(interaction_id) % 17 = 0 and {moment} >= timestamp '{fresh}' then 'no_answer'
                            else outcome end as outcome
                    ) {query}"""
            if name == corrected:
                query = correction.format(rows=f"({query})", day=day)
            database.execute(f"copy ({query}) to '{landing / file.with_suffix('.parquet').name}' (format parquet)")


def lasting_tables(home: Path) -> list[str]:
    """Every table that people read and every one that is built incrementally, from dbt's own manifest."""
    manifest = json.loads(next((home / ".dbt").glob("manifest-*.json")).read_text(encoding="utf-8"))
    return sorted(
        f"{node['schema']}.{node['alias']}"
        for node in manifest["nodes"].values()
        if node["resource_type"] == "model"
        and node["config"]["materialized"] != "ephemeral"
        and (
            node["config"]["materialized"] == "incremental"
            or node["schema"] in {"marts", "features", "kpis", "reporting", "star"}
        )
    )


def rows(home: Path) -> dict[str, Counter[tuple[Any, ...]]]:
    with duckdb.connect(str(home / "warehouse" / "puntual.duckdb"), read_only=True) as database:
        return {
            table: Counter(tuple(map(comparable, row)) for row in database.execute(f"from {table}").fetchall())
            for table in lasting_tables(home)
        }


def comparable(value: Any) -> Any:
    """Doubles to ten digits: a sum in another order differs in the last ones."""
    return float(f"{value:.10g}") if isinstance(value, float) else value


def walk(source: Path, home: Path, days: int) -> None:
    shutil.copytree(source, home, ignore=shutil.ignore_patterns("landing"))
    for age in reversed(range(days)):
        day = AS_OF - timedelta(days=age)
        deliver(source, home / "landing", day)
        result = run_day(Home(home), day)
        is_first = age == days - 1
        assert (result.metadata["control/run_parameters"]["build"] == "everything") == is_first


def differences(home: Path) -> dict[str, Any]:
    """What a full refresh of the last day changes."""
    before = rows(home)
    assert before["marts.fct_loan_as_of"]
    run_day(Home(home), AS_OF, full_refresh=True)
    after = rows(home)
    return {
        table: (
            list((before[table] - after[table]).elements())[:3],
            list((after[table] - before[table]).elements())[:3],
        )
        for table in before
        if before[table] != after[table] and not table.startswith("intermediate.int_changes__")
    }


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_three_days_end_in_the_tables_of_a_full_refresh(source: Path, tmp_path: Path) -> None:
    walk(source, tmp_path / "home", 3)
    assert differences(tmp_path / "home") == {}


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_thirty_days_end_in_the_tables_of_a_full_refresh(source: Path, tmp_path: Path) -> None:
    walk(source, tmp_path / "home", 30)
    assert differences(tmp_path / "home") == {}


def test_a_backfill_names_the_days_that_are_done(source: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    shutil.copytree(source, home)
    first, last = AS_OF - timedelta(days=1), AS_OF
    seen = []

    def break_the_second_day(result: Any) -> None:
        seen.append(result.as_of)
        (home / "landing" / "loans.parquet").unlink()

    with pytest.raises(PuntualError, match=f"{last} failed; {first} to {first} are done.*--from {last}"):
        run_days(Home(home), first, last, end_day=break_the_second_day)
    assert seen == [first]
    with pytest.raises(UsageError, match="older day first"):
        run_days(Home(home), last, first)
