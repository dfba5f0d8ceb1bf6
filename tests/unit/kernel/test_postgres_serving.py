"""Publication in PostgreSQL: one date for every reader, the branches that each may see, and nothing left half done."""

from __future__ import annotations

import threading
import time
from datetime import date, timedelta
from urllib.parse import urlsplit

import psycopg2
import pytest

from puntual.errors import PublishError
from puntual.warehouse import Warehouse
from puntual.warehouse.roles import Served, prepare_database, served_now
from puntual.warehouse.serving import PublishedTable, staged_publication
from tests.dbt.warehouses import create_database

DAY = date(2026, 6, 30)

TABLES = {
    "dim_branches": PublishedTable("select * from star.dim_branches", ["branch_id"], ["branch_id"]),
    "dim_loans": PublishedTable("select * from star.dim_loans", ["loan_id"], ["loan_id"]),
    "dim_customers": PublishedTable("select * from star.dim_customers", ["customer_id"], ["customer_id"]),
    "dim_segments": PublishedTable("select * from star.dim_segments", ["segment_code"], ["segment_code"]),
    "fct_payments": PublishedTable(
        "select * from star.fct_payments",
        ["payment_id"],
        ["payment_id"],
        "Payments. One row per payment; it's 100% net.",
        {"amount": "Money that came; the member's."},
    ),
    "fct_contacts": PublishedTable("select * from star.fct_contacts", ["contact_id"], ["contact_id"]),
    "fct_loan_as_of": PublishedTable("select * from star.fct_loan_as_of", ["as_of_date", "loan_id"], ["as_of_date", "loan_id"]),
    "fct_kpi": PublishedTable("select * from star.fct_kpi", ["kpi_code", "branch_id"], ["kpi_code", "branch_id"]),
    "kpi_parts": PublishedTable("select * from star.kpi_parts", ["branch_key"], []),
    "fct_totals": PublishedTable("select * from star.fct_totals", ["n"], ["n"]),
    "rpt_causes": PublishedTable("select * from star.rpt_causes", ["cause_code"], ["cause_code"]),
}  # fmt: skip


def fill(warehouse: Warehouse, day: date, loans: int) -> None:
    """A book of two branches (loans alternate) whose every table says its date or its size."""
    warehouse.execute_many(
        [
            "create schema if not exists star",
            "drop table if exists star.dim_branches, star.dim_loans, star.dim_customers, star.dim_segments, star.fct_payments,"
            " star.fct_contacts, star.fct_loan_as_of, star.fct_kpi, star.kpi_parts, star.fct_totals, star.rpt_causes cascade",
            "create table star.dim_branches as select * from (values ('N', 1::bigint), ('S', 2)) as v(branch_id, branch_key)",
            "create table star.dim_loans as select 'L' || n as loan_id, 'C' || n as customer_id,"
            f" case when n % 2 = 0 then 'N' else 'S' end as branch_id from generate_series(1, {loans}) as n",
            "create table star.dim_customers as select customer_id, branch_id from star.dim_loans"
            " union all select 'C0', null",
            "create table star.dim_segments as select 'early' as segment_code",
            "create table star.fct_payments as select 'P' || loan_id as payment_id, loan_id, 10.50::numeric(18,2) as amount"
            " from star.dim_loans",
            "create table star.fct_contacts as select 'K' || customer_id as contact_id, customer_id, null::text as loan_id"
            " from star.dim_customers",
            f"create table star.fct_loan_as_of as select date '{day}' as as_of_date, loan_id, branch_id from star.dim_loans",
            "create table star.fct_kpi as select 'K01' as kpi_code, branch_id, 1.0::float8 as value from star.dim_branches"
            " union all select 'K01', null, 2.0",
            "create table star.kpi_parts as select branch_key, 5 as amount from star.dim_branches",
            "create table star.fct_totals as select 1 as n, 100 as amount",
            "create table star.rpt_causes as select 'rounding' as cause_code, 7 as loan_count",
        ]
    )


def url_as(url: str, user: str) -> str:
    return urlsplit(url)._replace(netloc=f"{user}:@").geturl()


def ask(url: str, sql: str, role: str | None = None):
    connection = psycopg2.connect(url)
    try:
        with connection, connection.cursor() as cursor:
            if role:
                cursor.execute(f"set role {role}")
            cursor.execute(sql)
            return cursor.fetchall() if cursor.description else None
    finally:
        connection.close()


@pytest.fixture
def admin(postgres_url, request) -> str:
    return create_database(postgres_url, f"serving_{abs(hash(request.node.name))}")


@pytest.fixture
def warehouse(admin, tmp_path) -> Warehouse:
    """Prepared by init-db, worked in by a login without special rights."""
    warehouse = Warehouse.open(url_as(admin, "serving_day"), tmp_path)
    prepare_database(warehouse, admin_url=admin, password=lambda _: "x")
    return warehouse


def publish(warehouse: Warehouse, day: date = DAY, loans: int = 4, **more):
    fill(warehouse, day, loans)
    return put(warehouse, TABLES, day, f"{day}_abc{loans}", run_id="run-1", **more)


def put(warehouse: Warehouse, tables, day: date, name: str, **more):
    with staged_publication(warehouse, tables, day, name, **more) as publication:
        return publication


def schemas(admin: str, like: str) -> list[str]:
    return [name for (name,) in ask(admin, f"select nspname from pg_namespace where nspname like '{like}' order by 1")]


def test_everything_is_published_with_its_words_and_keys(warehouse, admin):
    done = publish(warehouse)
    assert (done.is_current, done.is_new) == (True, True)
    assert ask(admin, "select * from bi.published") == [(DAY, "run-1", "2026-06-30_abc4", 1)]
    assert ask(admin, "select count(*), sum(amount) from bi.fct_payments") == [(4, 42)]
    assert ask(admin, "select count(*) from bi.fct_kpi") == [(3,)]
    words = "select obj_description('bi.fct_payments'::regclass), col_description('bi.fct_payments'::regclass, 3)"
    assert ask(admin, words) == [("Payments. One row per payment; it's 100% net.", "Money that came; the member's.")]
    columns = "select string_agg(column_name, ',' order by ordinal_position) from information_schema.columns"
    assert ask(admin, f"{columns} where table_schema = 'bi' and table_name = 'fct_payments'") == [
        ("payment_id,loan_id,amount",)
    ]
    keys = "select c.relname from pg_index i join pg_class c on c.oid = i.indrelid where i.indisprimary"
    found = {name for (name,) in ask(admin, keys)}
    assert {"dim_loans", "fct_payments", "fct_loan_as_of"} <= found
    assert "fct_kpi" not in found  # its key has NULLs: unique, but no primary key
    assert ask(admin, "select distinct tableowner from pg_tables where schemaname like 'serving%'") == [
        ("puntual_owner",)
    ]


def test_the_same_content_again_writes_nothing(warehouse, admin):
    first = publish(warehouse)
    again = publish(warehouse)
    assert again.schema == first.schema
    assert again.is_current
    assert not again.is_new
    assert schemas(admin, "bi%") == ["bi", "bi_access"]


def test_an_older_date_does_not_replace_a_newer_one(warehouse, admin):
    publish(warehouse)
    older = publish(warehouse, DAY - timedelta(days=1))
    assert not older.is_current
    assert ask(admin, "select as_of_date from bi.published") == [(DAY,)]


def test_only_so_many_publications_stay(warehouse, admin):
    for number in range(5):
        publish(warehouse, DAY + timedelta(days=number), loans=4 + number, keep=2)
    assert [name[8:16] for name in schemas(admin, "serving%")] == ["20260703", "20260704"]
    assert schemas(admin, "bi%") == ["bi", "bi_access"]
    assert ask(admin, "select count(*) from bi.dim_loans") == [(8,)]


def test_a_view_that_somebody_built_on_it_stops_nothing_and_is_kept(warehouse, admin):
    publish(warehouse)
    ask(admin, "create view public.mine as select count(*) as n from bi.dim_loans")
    for number in range(1, 4):
        publish(warehouse, DAY + timedelta(days=number), loans=4 + number, keep=1)
    assert ask(admin, "select n from public.mine") == [(4,)]
    ask(admin, "drop view public.mine")
    publish(warehouse, DAY + timedelta(days=4), loans=9, keep=1)
    assert len(schemas(admin, "serving%")) == 1


def test_a_failure_before_or_beside_the_change_leaves_yesterday(warehouse, admin):
    publish(warehouse)
    fill(warehouse, DAY + timedelta(days=1), 6)
    with (
        pytest.raises(OSError, match="disk"),
        staged_publication(warehouse, TABLES, DAY + timedelta(days=1), "next") as publication,
    ):
        assert publication.is_current
        raise OSError("disk full")
    assert ask(admin, "select as_of_date from bi.published") == [(DAY,)]
    broken = {**TABLES, "fct_more": PublishedTable("select * from star.dim_loans", ["loan_id"], ["branch_id"])}
    with pytest.raises(PublishError, match=r"could not be put into PostgreSQL.*unique"):
        put(warehouse, broken, DAY + timedelta(days=1), "next")
    with pytest.raises(PublishError, match="nothere"):
        absent = {**TABLES, "fct_more": PublishedTable("select * from star.nothere", ["n"])}
        put(warehouse, absent, DAY + timedelta(days=1), "next")
    assert ask(admin, "select as_of_date from bi.published") == [(DAY,)]
    assert ask(admin, "select count(*) from bi.dim_loans") == [(4,)]


def test_a_change_that_the_server_does_not_take_at_the_very_end_is_said_as_it_is(warehouse, admin):
    publish(warehouse)
    day = DAY + timedelta(days=1)
    fill(warehouse, day, 6)
    with (
        pytest.raises(
            PublishError, match=r"(?s)at the very end.*files are those of 2026-07-01 \(next\) already.*again"
        ),
        staged_publication(warehouse, TABLES, day, "next"),
    ):
        ask(admin, "select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database()"
            " and usename = 'serving_day'")  # fmt: skip
    assert ask(admin, "select as_of_date from bi.published") == [(DAY,)]
    assert put(warehouse, TABLES, day, "next").is_current
    assert ask(admin, "select content_name from bi.published") == [("next",)]


def test_a_schema_that_is_not_ours_is_left_alone(warehouse, admin):
    ask(admin, "create schema bi; create table bi.theirs (n int); alter schema bi owner to puntual_owner;"
        " alter table bi.theirs owner to puntual_owner")  # fmt: skip
    with pytest.raises(PublishError, match="did not make"):
        publish(warehouse)
    assert ask(admin, "select count(*) from bi.theirs") == [(0,)]


# ------------------------------------------------------------------------------------------------ who sees what


@pytest.fixture
def people(warehouse, admin):
    """Ana sees the north, Luis all, Eva nothing, Rosa the south through her group."""
    publish(warehouse)
    for name in ("ana", "luis", "eva", "rosa", "southerners"):
        ask(admin, f"do $$ begin create role bi_{name} nologin; exception when duplicate_object then null; end $$")
    for name in ("ana", "luis", "eva", "rosa"):
        ask(admin, f"grant puntual_bi to bi_{name}")
    ask(admin, "grant bi_southerners to bi_rosa")
    ask(admin, "insert into bi_access.branch_members values ('bi_ana', 'N'), ('bi_luis', '*'), ('bi_southerners', 'S'),"
        " ('nobody at all', 'N')")  # fmt: skip
    return admin


@pytest.mark.parametrize(
    ("role", "loans", "members", "kpis", "parts"),
    [("bi_ana", 2, 2, 1, 1), ("bi_rosa", 2, 2, 1, 1), ("bi_luis", 4, 5, 3, 2), ("bi_eva", 0, 0, 0, 0),
     ("puntual_bi", 0, 0, 0, 0), ("puntual_reader", 4, 5, 3, 2), ("puntual_owner", 4, 5, 3, 2)],
)  # fmt: skip
def test_each_sees_their_branches(people, role, loans, members, kpis, parts):
    totals = int(kpis == 3)  # what has no branch at all is for those who see every branch
    expected = {"dim_loans": loans, "fct_payments": loans, "fct_loan_as_of": loans, "dim_customers": members,
                "fct_contacts": members, "fct_kpi": kpis, "kpi_parts": parts, "dim_segments": 1, "published": 1,
                "fct_totals": totals, "rpt_causes": totals}  # fmt: skip
    for table, count in expected.items():
        assert ask(people, f"select count(*) from bi.{table}", role) == [(count,)], table


def test_the_row_of_the_unknown_belongs_to_everybody(warehouse, admin):
    """A manager's payment without a known loan finds its dimension row, and of the others' rows nothing."""
    publish(warehouse)
    warehouse.execute_many(
        [
            "alter table star.dim_loans add column loan_key bigint",
            "update star.dim_loans set loan_key = substr(loan_id, 2)::bigint",
            "insert into star.dim_loans values (null, null, null, -1)",
            "alter table star.dim_customers add column customer_key bigint",
            "update star.dim_customers set customer_key = substr(customer_id, 2)::bigint",
            "insert into star.dim_customers values ('(sin dato)', null, -1)",
        ]
    )
    put(warehouse, TABLES, DAY + timedelta(days=1), "with keys")
    ask(admin, "do $$ begin create role bi_nora nologin in role puntual_bi; end $$")
    ask(admin, "insert into bi_access.branch_members values ('bi_nora', 'N')")
    assert ask(admin, "select loan_key from bi.dim_loans order by 1", "bi_nora") == [(-1,), (2,), (4,)]
    assert ask(admin, "select customer_key from bi.dim_customers order by 1", "bi_nora") == [(-1,), (2,), (4,)]


def test_nobody_gets_around_the_policies(people, warehouse):
    (schema,) = schemas(people, "serving%")
    # Neither by the tables beneath, nor by a function or a view of one's own that runs as the reader.
    assert ask(people, f"select count(*) from {schema}.fct_payments", "bi_ana") == [(2,)]
    assert ask(people, f"select distinct _branch_id from {schema}.fct_payments", "bi_ana") == [("N",)]
    assert ask(people, "select count(*) from bi_access.branch_members", "bi_ana") == [(1,)]
    leak = "create function public.leak(text) returns bool language plpgsql cost 0.0001 as"
    ask(people, f"{leak} $$ begin raise notice 'seen %', $1; return true; end $$")
    connection = psycopg2.connect(people)
    try:
        with connection.cursor() as cursor:
            cursor.execute("set role bi_ana")
            cursor.execute("select count(*) from bi.fct_payments where public.leak(payment_id)")
            assert cursor.fetchone() == (2,)
        assert [line for line in connection.notices if "PL2" in line]
        assert not [line for line in connection.notices if "PL1" in line or "PL3" in line]
    finally:
        connection.close()
    for sql in (
        "select * from marts.dim_loans",
        "select * from star.dim_loans",
        "select * from reference.channels",
        "delete from bi.fct_payments",
        f"alter table {schema}.fct_payments disable row level security",
        f"drop policy own_branches on {schema}.fct_payments",
        "insert into bi_access.branch_members values ('bi_ana', '*')",
        "create view bi.mine as select 1 as n",
        "create temporary table mine (n int)",
    ):
        with pytest.raises(psycopg2.Error):
            ask(people, sql, "bi_ana")
    assert ask(people, "select pg_has_role('bi_ana', 'puntual_owner', 'member')") == [(False,)]
    with pytest.raises(psycopg2.errors.InsufficientPrivilege):
        ask(people, "update bi.fct_payments set amount = 0", "puntual_reader")


def test_a_branch_given_or_taken_counts_from_the_next_question_and_stays_after_publishing(people, warehouse):
    ask(people, "insert into bi_access.branch_members values ('bi_ana', 'S')")
    assert ask(people, "select count(*) from bi.dim_loans", "bi_ana") == [(4,)]
    ask(people, "delete from bi_access.branch_members where role_name = 'bi_ana' and branch_id = 'N'")
    publish(warehouse, DAY + timedelta(days=1), loans=5)
    assert ask(people, "select distinct branch_id from bi.dim_loans", "bi_ana") == [("S",)]


def test_without_init_db_the_owner_alone_reads(postgres_url, tmp_path):
    admin = create_database(postgres_url, "serving_plain")
    warehouse = Warehouse.open(admin, tmp_path)
    publish(warehouse)
    assert ask(admin, "select count(*) from bi.dim_loans") == [(4,)]
    with pytest.raises(psycopg2.errors.InsufficientPrivilege):
        ask(admin, "select * from bi.dim_loans", "pg_monitor")


def test_init_db_after_the_first_publication_opens_it_when_the_same_day_is_published_again(postgres_url, tmp_path):
    admin = create_database(postgres_url, "serving_late_roles")
    before = Warehouse.open(admin, tmp_path)
    first = publish(before)
    warehouse = Warehouse.open(url_as(admin, "serving_late"), tmp_path)
    prepare_database(warehouse, admin_url=admin, password=lambda _: "x")
    with warehouse.connection() as connection, connection.cursor() as cursor:
        assert "may not read 12 of its views" in served_now(cursor)
    again = put(warehouse, TABLES, DAY, f"{DAY}_abc4", run_id="run-1")
    assert again.is_new
    assert again.schema != first.schema
    assert ask(admin, "select count(*) from bi.dim_loans", "puntual_reader") == [(4,)]
    assert ask(admin, "select count(*) from bi.dim_loans", "puntual_bi") == [(0,)]
    with warehouse.connection() as connection, connection.cursor() as cursor:
        assert served_now(cursor) == Served(DAY, f"{DAY}_abc4")
    for taken in (f"select on {again.schema}.dim_loans", f"usage on schema {again.schema}"):
        ask(admin, f"revoke {taken} from puntual_bi")
        with warehouse.connection() as connection, connection.cursor() as cursor:
            assert "puntual_bi may not read" in served_now(cursor)
        ask(admin, f"grant {taken} to puntual_bi")


# ------------------------------------------------------------------------------------------------ readers meanwhile


class Reader(threading.Thread):
    """Asks for the date, two tables and their join, in one transaction after the other, until told to stop."""

    def __init__(self, url: str, isolation: str, linger: float) -> None:
        super().__init__()
        self.url, self.isolation, self.linger = url, isolation, linger
        self.done = threading.Event()
        self.seen: list[tuple] = []
        self.error: BaseException | None = None

    def run(self) -> None:
        connection = psycopg2.connect(self.url)
        try:
            connection.set_session(isolation_level=self.isolation)
            while not self.done.is_set():
                with connection, connection.cursor() as cursor:
                    cursor.execute("select 1")  # a snapshot that may be older than a publication read below
                    time.sleep(self.linger)
                    cursor.execute("select as_of_date from bi.published")
                    (day,) = cursor.fetchone()
                    cursor.execute("select count(*) from bi.dim_loans")
                    (loans,) = cursor.fetchone()
                    time.sleep(self.linger)
                    cursor.execute(
                        "select min(f.as_of_date), max(f.as_of_date), count(f.loan_id), count(l.loan_id), max(p.as_of_date)"
                        " from bi.fct_loan_as_of f full join bi.dim_loans l using (loan_id) cross join bi.published p"
                    )
                    self.seen.append((day, loans, *cursor.fetchone()))
        except BaseException as error:
            self.error = error
        finally:
            connection.close()


@pytest.mark.slow  # readers that never pause may keep the writer waiting on a busy machine
def test_readers_see_one_publication_while_several_replace_each_other(warehouse, admin):
    publish(warehouse, loans=100)
    readers = [
        Reader(admin, "READ COMMITTED", 0.0),
        Reader(admin, "READ COMMITTED", 0.05),
        Reader(admin, "REPEATABLE READ", 0.05),
        Reader(admin, "SERIALIZABLE", 0.02),
    ]
    for reader in readers:
        reader.start()
    days = 6
    try:
        for number in range(1, days):
            publish(warehouse, DAY + timedelta(days=number), loans=100 + number, keep=2, patience_seconds=60)
    finally:
        time.sleep(0.3)
        for reader in readers:
            reader.done.set()
        for reader in readers:
            reader.join()
    for reader in readers:
        assert reader.error is None, reader.error
        for day, loans, first, last, states, joined, again in reader.seen:
            number = (day - DAY).days
            assert (first, last, again) == (day, day, day)
            assert (loans, states, joined) == (100 + number,) * 3
        assert len({row[0] for row in reader.seen}) > 1, "no publication happened while it read"
        assert reader.seen[-1][0] == DAY + timedelta(days=days - 1)


def test_a_reader_who_never_ends_is_named_and_keeps_the_old_one(warehouse, admin):
    publish(warehouse)
    connection = psycopg2.connect(admin, application_name="a forgotten window")
    try:
        with connection.cursor() as cursor:
            cursor.execute("select count(*) from bi.dim_loans")
            with pytest.raises(PublishError, match=r"(?s)did not end.*a forgotten window"):
                publish(warehouse, DAY + timedelta(days=1), loans=7, patience_seconds=1)
            cursor.execute("select (select count(*) from bi.dim_loans), as_of_date from bi.published")
            assert cursor.fetchone() == (4, DAY)
    finally:
        connection.close()
    assert publish(warehouse, DAY + timedelta(days=1), loans=7).is_current
