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

AS_OF = date(2026, 6, 30)
MEMBERS = 150
LATE_DAYS = 3
# What tells of events, with the moment that decides on which day the source can know of them.
MOMENTS = {"payments": "paid_at", "interactions": "occurred_at", "promises": "made_at", "message_events": '"at"'}


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A demo whose landing folder is the institution's own database: each day's files are cut from it."""
    home = tmp_path_factory.mktemp("source") / "home"
    create_demo(home, members=MEMBERS, seed=3, as_of=AS_OF)
    return home


def deliver(source: Path, landing: Path, day: date) -> None:
    """The files of one morning.

    Every eleventh payment is only known three days after it came. Every thirteenth was first delivered with a wrong amount,
    corrected the day after; every seventeenth contact with another outcome. A loan that closed later was still active. On
    every fifth day no file changes.
    """
    if day.day % 5 == 0 and any(landing.glob("payments.*")):
        return
    shutil.rmtree(landing, ignore_errors=True)
    landing.mkdir(parents=True)
    zone = ZoneInfo("America/Guayaquil")
    known = datetime.combine(day + timedelta(days=1), time(), zone).astimezone(ZoneInfo("UTC")).replace(tzinfo=None)
    fresh, late = known - timedelta(days=1), known - timedelta(days=LATE_DAYS)
    with duckdb.connect() as database:
        database.execute("set timezone = 'UTC'")
        for file in sorted((source / "landing").iterdir()):
            name = file.stem
            if file.suffix not in {".csv", ".parquet"}:
                continue
            if name not in {*MOMENTS, "loans", "installments", "loan_balances"}:
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
            database.execute(f"copy ({query}) to '{landing / file.with_suffix('.parquet').name}' (format parquet)")


def lasting_tables(home: Path) -> list[str]:
    """Every table that people read and every one that is built incrementally, from dbt's own manifest."""
    manifest = json.loads(next((home / ".dbt").glob("manifest-*.json")).read_text(encoding="utf-8"))
    return sorted(
        f"{node['schema']}.{node['alias']}"
        for node in manifest["nodes"].values()
        if node["resource_type"] == "model"
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


@pytest.mark.timeout(1200)
def test_four_days_end_in_the_tables_of_a_full_refresh(source: Path, tmp_path: Path) -> None:
    walk(source, tmp_path / "home", 4)
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
