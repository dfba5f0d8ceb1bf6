"""The star on both engines: the same rows and keys, no key that leads nowhere, and measures that give the long table."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import pairwise
from typing import Any

import pytest

from puntual.powerbi.command import provable
from puntual.powerbi.evaluate import Evaluator, differences
from puntual.powerbi.model import SourceSettings, build_model
from puntual.powerbi.semantics import load_semantics
from puntual.powerbi.star import is_dimension, references, star_tables
from tests.dbt.book import AS_OF, Book
from tests.dbt.kpi_books import kpi_book
from tests.dbt.warehouses import (
    create_database,
    duckdb_environment,
    load_duckdb,
    load_postgres,
    postgres_environment,
    row_differences,
    run_dbt,
)

pytestmark = pytest.mark.long

# The star's own data tests run too: keys that are unique, and every key found in its dimension.
BUILD = [
    "build",
    "--select",
    "+path:models/star",
    "--indirect-selection",
    "buildable",
    "--exclude-resource-type",
    "unit_test",
]


WITH_CAMPAIGNS = AS_OF - timedelta(days=2)


@dataclass(frozen=True)
class Star:
    """A built star: rows of a SQL text in which its tables stand under their names."""

    query: Callable[[str], list[tuple[Any, ...]]]

    def rows(self, table: str) -> dict[tuple[Any, ...], dict[str, Any]]:
        spec = star_tables()[table]
        names = [column.name for column in spec.columns]
        rows = [dict(zip(names, row, strict=True)) for row in self.query(f"select {', '.join(names)} from {table}")]
        found = {tuple(row[name] for name in spec.key): row for row in rows}
        assert len(found) == len(rows), f"the key of {table} is not unique"
        return found


def star_book() -> Book:
    """The book of the KPIs with two days of decisions, a collector that nobody delivered and a loan that is not there."""
    book = kpi_book()
    book.tables |= {"decisions.decisions": [], "decisions.details": [], "decisions.campaign_members": []}
    draw = random.Random(3)
    owners = sorted({(row["loan_id"], row["customer_id"]) for row in book.tables["loans"]})
    for day in (AS_OF, AS_OF - timedelta(days=1)):
        seen: set[str] = set()
        for loan_id, customer_id in owners:
            if customer_id in seen:
                continue
            seen.add(customer_id)
            action = draw.choice(["none", "call", "sms"])
            decision = {
                "as_of_date": day, "customer_id": customer_id, "loan_id": loan_id, "action": action, "eligible": True,
                "blocked_by": "{}", "_load_id": 1, "collector_id": "C-UNKNOWN" if action == "call" else None, "rank": len(seen),
                "arrears_amount": 10.0, "past_due_days": draw.randrange(200), "is_exploration": False, "reason_codes": "[]",
            }  # fmt: skip
            book.tables["decisions.decisions"].append(decision)
            for channel in ("call", "sms"):
                detail = {
                    "as_of_date": day, "customer_id": customer_id, "loan_id": loan_id, "channel_code": channel,
                    "is_allowed": draw.random() < 0.7, "is_chosen": channel == action, "is_never": False, "_load_id": 1,
                }  # fmt: skip
                book.tables["decisions.details"].append(detail)
    book.tables["decisions.decisions"][0]["loan_id"] = "L-NOT-THERE"
    for number, customer_id in enumerate(sorted({customer for _, customer in owners})):
        member = {
            "as_of_date": WITH_CAMPAIGNS, "customer_id": customer_id, "campaign_id": "early_sms", "channel_code": "sms",
            "is_sent": number % 3 == 0, "_load_id": 1,
        }  # fmt: skip
        book.tables["decisions.campaign_members"].append(member)
        book.tables["decisions.details"].append(
            {
                "as_of_date": WITH_CAMPAIGNS, "customer_id": customer_id, "channel_code": "sms", "is_allowed": True,
                "is_chosen": number % 3 == 0, "is_never": False, "_load_id": 1,
            }
        )  # fmt: skip
    return book


@pytest.fixture(scope="module")
def on_duckdb(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Star]:
    import duckdb

    folder = tmp_path_factory.mktemp("star")
    file = folder / "warehouse.duckdb"
    load_duckdb(star_book(), file)
    run_dbt(BUILD, duckdb_environment(file), folder)
    with duckdb.connect(str(file), read_only=True) as connection:
        connection.execute("set schema = 'star'")
        yield Star(lambda sql: connection.execute(sql).fetchall())


@pytest.fixture(scope="module")
def on_postgres(postgres_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Star]:
    import psycopg2

    url = create_database(postgres_url, "star_book")
    load_postgres(star_book(), url)
    run_dbt(BUILD, postgres_environment(url), tmp_path_factory.mktemp("star_postgres"))
    connection = psycopg2.connect(url)

    def query(sql: str) -> list[tuple[Any, ...]]:
        with connection.cursor() as cursor:
            cursor.execute("set search_path = star")
            cursor.execute(sql)
            return cursor.fetchall()

    try:
        yield Star(query)
    finally:
        connection.close()


def test_a_key_is_the_first_60_bits_of_the_md5(on_duckdb: Star) -> None:
    (key,) = (row["channel_key"] for row in on_duckdb.rows("dim_channels").values() if row["channel_code"] == "sms")
    assert key == int(hashlib.md5(b"sms").hexdigest()[:15], 16)
    assert 0 <= key < 2**60


@pytest.mark.slow
@pytest.mark.parametrize("table", sorted(star_tables()))
def test_postgres_gives_the_rows_of_duckdb(on_duckdb: Star, on_postgres: Star, table: str) -> None:
    rows = on_duckdb.rows(table)
    assert rows, f"{table} is empty: the comparison would prove nothing"
    assert row_differences(rows, on_postgres.rows(table)) == []


@pytest.mark.parametrize("name", ["on_duckdb", pytest.param("on_postgres", marks=pytest.mark.slow)])
def test_no_key_is_null_or_leads_nowhere(name: str, request: pytest.FixtureRequest) -> None:
    star: Star = request.getfixturevalue(name)
    for reference in references(star_tables()):
        sql = (
            f"select count(*) from {reference.table} as f left join {reference.dimension} as d"
            f" on f.{reference.column} = d.{reference.dimension_column} where d.{reference.dimension_column} is null"
        )
        assert star.query(sql) == [(0,)], reference


def test_every_dimension_but_the_calendar_has_one_row_for_what_is_unknown(on_duckdb: Star) -> None:
    for name, spec in star_tables().items():
        if is_dimension(name) and name not in {"dim_dates", "dim_kpis"}:
            unknown = [row for row in on_duckdb.rows(name).values() if row[spec.columns[0].name] == -1]
            assert len(unknown) == 1, name
            assert "(sin dato)" in unknown[0].values(), name


def test_what_is_not_delivered_is_kept_or_points_to_nobody(on_duckdb: Star) -> None:
    decisions = on_duckdb.rows("fct_decisions").values()
    assert {row["loan_key"] for row in decisions if row["loan_id"] == "L-NOT-THERE"} == {-1}
    named = {row["collector_id"] for row in on_duckdb.rows("dim_collectors").values()}
    assert "C-UNKNOWN" in named
    no_contact = {row["channel_key"] for row in decisions if row["action"] == "none"}
    labels = {row["channel_key"]: row["label_es"] for row in on_duckdb.rows("dim_channels").values()}
    assert [labels[key] for key in no_contact] == ["Sin contacto"]


def test_the_calendar_is_whole_years_without_a_gap(on_duckdb: Star) -> None:
    days = sorted(row["date"] for row in on_duckdb.rows("dim_dates").values())
    assert (days[0].month, days[0].day, days[-1].month, days[-1].day) == (1, 1, 12, 31)
    assert [later - earlier for earlier, later in pairwise(days)] == [timedelta(days=1)] * (len(days) - 1)


def test_a_day_of_the_calendar(on_duckdb: Star) -> None:
    calendar = {row["date"]: row for row in on_duckdb.rows("dim_dates").values()}
    day = calendar[date(AS_OF.year, 1, 1)]
    iso = date(AS_OF.year, 1, 1).isocalendar()
    assert (day["date_key"], day["iso_year"], day["iso_week"], day["weekday"]) == (AS_OF.year * 10000 + 101, *iso)
    assert (day["month_name_es"], day["month_name_en"]) == ("enero", "January")
    assert calendar[AS_OF]["months_ago"] == 0
    assert [row["date"] for row in calendar.values() if row["is_as_of_date"]] == [AS_OF]
    assert all(row["is_stock_date"] for row in calendar.values() if row["is_month_close"] or row["is_week_close"])
    saturdays = [row for row in calendar.values() if row["weekday"] == 6]
    assert not any(row["is_business_day"] for row in saturdays)


def test_a_campaign_counts_what_the_decisions_chose_and_the_rules_forbade(on_duckdb: Star) -> None:
    book = star_book()
    for day in (AS_OF, AS_OF - timedelta(days=1)):
        details = [d for d in book.tables["decisions.details"] if d["as_of_date"] == day and d["channel_code"] == "sms"]
        rows = [row for row in on_duckdb.rows("fct_campaigns").values() if row["campaign_id"] == f"{day}/sms"]
        assert sum(row["selected_count"] for row in rows) == sum(d["is_chosen"] for d in details)
        assert sum(row["suppressed_count"] for row in rows) == sum(not d["is_allowed"] for d in details)
    assert not [row for row in on_duckdb.rows("fct_campaigns").values() if row["campaign_id"].endswith("/call")]


def test_a_day_with_campaigns_counts_their_members_and_who_was_held_back(on_duckdb: Star) -> None:
    members = star_book().tables["decisions.campaign_members"]
    found = [
        row for row in on_duckdb.rows("fct_campaigns").values() if row["campaign_id"].startswith(str(WITH_CAMPAIGNS))
    ]
    assert {row["campaign_id"] for row in found} == {f"{WITH_CAMPAIGNS}/early_sms"}, "no second one for the channel"
    assert sum(row["selected_count"] for row in found) == len(members)
    assert sum(row["suppressed_count"] for row in found) == sum(not member["is_sent"] for member in members)


@pytest.mark.long
@pytest.mark.parametrize("name", ["on_duckdb", pytest.param("on_postgres", marks=pytest.mark.slow)])
def test_every_measure_gives_the_long_table(name: str, request: pytest.FixtureRequest) -> None:
    star: Star = request.getfixturevalue(name)
    semantics = load_semantics()
    codes, grains = provable(semantics)
    evaluator = Evaluator(build_model(star_tables(), semantics, SourceSettings()), star.query)
    assert [str(found) for found in differences(evaluator, codes, grains, periods=("month",), ends_kept=1)] == []


def test_the_star_has_no_personal_data() -> None:
    personal = {
        "full_name",
        "national_id",
        "birth_date",
        "gender",
        "marital_state",
        "city",
        "occupation",
        "monthly_income_amount",
        "value_text",
    }
    for table in star_tables().values():
        assert {column.name for column in table.columns} & personal == set(), table.name
