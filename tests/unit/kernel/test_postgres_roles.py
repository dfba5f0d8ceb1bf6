"""puntual init-db on a server of its own: roles, schemas, rights, and errors that say what to do."""

from __future__ import annotations

from urllib.parse import urlsplit

import psycopg2
import pytest
from typer.testing import CliRunner

from puntual.cli import app
from puntual.errors import UsageError, WarehouseError
from puntual.homes import create_home
from puntual.warehouse import Warehouse
from puntual.warehouse.roles import ROLES, WORKING_SCHEMAS, prepare_database
from tests.dbt.warehouses import create_database


def with_login(url: str, user: str, password: str = "") -> str:
    return urlsplit(url)._replace(netloc=f"{user}:{password}@").geturl()


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


@pytest.fixture(scope="module")
def admin(postgres_url) -> str:
    return create_database(postgres_url, "roles")


@pytest.fixture(scope="module")
def warehouse(admin, tmp_path_factory) -> Warehouse:
    """A warehouse prepared by the superuser, worked in by a login of its own."""
    warehouse = Warehouse.open(with_login(admin, "coop_day"), tmp_path_factory.mktemp("home"))
    prepare_database(warehouse, admin_url=admin, password=lambda login: f"secret of {login}")
    return warehouse


def test_again_changes_nothing(warehouse, admin):
    prepared = prepare_database(warehouse, admin_url=admin)
    assert prepared.done == []


def test_only_the_roles_enter_and_only_the_owner_makes_temporary_tables(warehouse, admin):
    rights = "select has_database_privilege('{}', current_database(), '{}')"
    may = {role: [ask(admin, rights.format(role, right))[0][0] for right in ("connect", "temporary")]
           for role in (*ROLES, "pg_monitor")}  # fmt: skip
    assert may == {
        "puntual_owner": [True, True], "puntual_reader": [True, False], "puntual_bi": [True, False],
        "pg_monitor": [False, False],
    }  # fmt: skip
    ask(admin, "create role coop_stranger login")
    with pytest.raises(psycopg2.OperationalError, match="permission denied for database"):
        ask(with_login(admin, "coop_stranger"), "select 1")
    ask(admin, "grant puntual_bi to coop_stranger")
    assert ask(with_login(admin, "coop_stranger"), "select 1") == [(1,)]
    warehouse.execute("create temporary table of_the_day (n int)")


@pytest.mark.parametrize("exists", [False, True])
def test_a_login_with_unusual_letters_or_without_inheritance_does_its_day(admin, tmp_path, exists):
    name, in_address = ("coop_noinherit", "coop_noinherit") if exists else ('coop 50%s"off', "coop%2050%25s%22off")
    if exists:
        ask(admin, f"create role {name} login noinherit")
    warehouse = Warehouse.open(with_login(admin, in_address), tmp_path)
    prepared = prepare_database(warehouse, admin_url=admin, password=lambda _: "x")
    assert f"{name} works as puntual_owner" in prepared.done
    assert prepare_database(warehouse, admin_url=admin).done == []
    assert warehouse.read("select session_user as login, current_user as role").values.tolist() == [
        [name, "puntual_owner"]
    ]


def test_roles_are_groups_and_own_the_schemas(warehouse, admin):
    roles = ask(admin, "select rolname, rolcanlogin from pg_roles where rolname like 'puntual%' order by 1")
    assert roles == [(name, False) for name in sorted(ROLES)]
    owners = ask(admin, "select nspname, nspowner::regrole::text from pg_namespace")
    assert {dict(owners)[schema] for schema in (*WORKING_SCHEMAS, "bi_access")} == {"puntual_owner"}


def test_what_the_day_makes_belongs_to_the_owner_and_the_reports_can_be_read(warehouse, admin):
    import pandas as pd

    warehouse.replace_table("reporting.rpt_try", pd.DataFrame({"n": [1]}))
    warehouse.replace_table("marts.fct_try", pd.DataFrame({"n": [1]}))
    (owner,) = ask(admin, "select relowner::regrole::text from pg_class where relname = 'rpt_try'")
    assert owner == ("puntual_owner",)
    assert ask(admin, "select n from reporting.rpt_try", "puntual_reader") == [(1,)]
    for sql, role in (
        ("select * from marts.fct_try", "puntual_reader"),
        ("select * from reporting.rpt_try", "puntual_bi"),
        ("insert into reporting.rpt_try values (2)", "puntual_reader"),
        ("create table reporting.mine (n int)", "puntual_reader"),
        ("create table public.mine (n int)", "puntual_bi"),
        ("insert into bi_access.branch_members values ('puntual_bi', '*')", "puntual_bi"),
        ("delete from bi_access.branch_members", "puntual_reader"),
        ("create schema mine", "puntual_bi"),
    ):
        with pytest.raises(psycopg2.errors.InsufficientPrivilege):
            ask(admin, sql, role)


def test_tables_of_before_the_roles_are_handed_over(postgres_url, tmp_path):
    import pandas as pd

    admin = create_database(postgres_url, "before_roles")
    as_superuser = Warehouse.open(admin, tmp_path)
    as_superuser.replace_table("marts.fct_old", pd.DataFrame({"n": [1]}))
    warehouse = Warehouse.open(with_login(admin, "coop_late"), tmp_path)
    prepared = prepare_database(warehouse, admin_url=admin, password=lambda _: "x")
    assert any("1 tables and views handed over" in line for line in prepared.done)
    warehouse.replace_table("marts.fct_old", pd.DataFrame({"m": ["other shape"]}))
    assert warehouse.read_table("marts.fct_old")["m"].tolist() == ["other shape"]


def test_an_administrator_without_superuser_rights_is_enough_when_the_database_is_theirs(postgres_url, tmp_path):
    ask(postgres_url, "create role managed login createrole")
    admin = create_database(postgres_url, "managed_db")
    ask(postgres_url, "alter database managed_db owner to managed")
    managed = with_login(admin, "managed")
    warehouse = Warehouse.open(with_login(admin, "managed_day"), tmp_path)
    # Roles belong to the server: another administrator has made these already.
    ask(postgres_url, "grant puntual_owner, puntual_reader, puntual_bi to managed with admin option")
    prepare_database(warehouse, admin_url=managed, password=lambda _: "x")
    prepare_database(warehouse, admin_url=managed)
    warehouse.execute("create table marts.made (n int)")
    assert ask(admin, "select relowner::regrole::text from pg_class where relname = 'made'") == [("puntual_owner",)]


def test_too_few_rights_are_said_and_change_nothing(postgres_url, tmp_path):
    ask(postgres_url, "create role nobody_special login")
    admin = create_database(postgres_url, "no_rights")
    warehouse = Warehouse.open(with_login(admin, "nobody_special"), tmp_path)
    with pytest.raises(WarehouseError, match=r"nobody_special may not create roles.*--admin-url"):
        prepare_database(warehouse)
    assert ask(admin, "select count(*) from pg_namespace where nspname = 'marts'") == [(0,)]


def test_a_new_login_without_a_password_is_refused(admin, tmp_path, monkeypatch):
    monkeypatch.delenv("PGPASSWORD", raising=False)
    warehouse = Warehouse.open(with_login(admin, "coop_silent"), tmp_path)
    with pytest.raises(UsageError, match=r"coop_silent.*PGPASSWORD"):
        prepare_database(warehouse, admin_url=admin, password=lambda _: "")
    assert ask(admin, "select count(*) from pg_roles where rolname = 'coop_silent'") == [(0,)]


def test_a_password_is_kept_as_a_hash_and_never_shown(warehouse, admin):
    ((kept,),) = ask(admin, "select rolpassword from pg_authid where rolname = 'coop_day'")
    assert kept.startswith("SCRAM-SHA-256$")
    shown = Warehouse.open(
        "postgresql://ana:top%40secret@db1/coop?sslmode=require&password=other", __import__("pathlib").Path()
    )
    assert "secret" not in shown.safe_url
    assert "other" not in shown.safe_url


def test_a_server_that_is_absent_or_another_database_is_said(admin, tmp_path):
    absent = Warehouse.open("postgresql://ana@127.0.0.1:1/coop", tmp_path)
    with pytest.raises(WarehouseError, match=r"127.0.0.1:1/coop does not answer"):
        prepare_database(absent)
    with pytest.raises(WarehouseError, match=r"does not answer.*does not exist"):
        prepare_database(Warehouse.open(urlsplit(admin)._replace(path="/nowhere").geturl(), tmp_path))
    other = Warehouse.open(urlsplit(with_login(admin, "x"))._replace(path="/postgres").geturl(), tmp_path)
    with pytest.raises(UsageError, match="same database"):
        prepare_database(other, admin_url=admin)


def test_an_old_server_is_refused(admin, tmp_path, monkeypatch):
    monkeypatch.setattr("puntual.warehouse.roles.server_version", lambda cursor: 14)
    with pytest.raises(WarehouseError, match=r"version 14.*needs 15"):
        prepare_database(Warehouse.open(admin, tmp_path))


def test_the_command_says_that_duckdb_needs_nothing_and_prepares_postgres(tmp_path, admin):
    home = create_home(
        tmp_path / "home", name="C", country="EC", timezone="America/Guayaquil", currency="USD", language="es"
    )
    shown = CliRunner().invoke(app, ["init-db", str(home.root)])
    assert shown.exit_code == 0
    assert "Nothing to do" in shown.output
    text = home.settings_file.read_text(encoding="utf-8").replace("duckdb:///warehouse/puntual.duckdb", admin)
    home.settings_file.write_text(text, encoding="utf-8")
    shown = CliRunner().invoke(app, ["init-db", str(home.root)])
    assert shown.exit_code == 0, shown.output
    assert "superuser" in shown.output


def test_dbt_is_told_what_the_address_says():
    from pathlib import Path

    url = "postgresql://ana:a%40b@db1:5433/coop?sslmode=verify-full&sslrootcert=/etc/ca.pem"
    environment = Warehouse.open(url, Path()).dbt_environment()
    assert environment["PUNTUAL_PG_HOST"] == "db1"
    assert environment["PUNTUAL_PG_PORT"] == "5433"
    assert environment["DBT_ENV_SECRET_PUNTUAL_PG_PASSWORD"] == "a@b"
    assert environment["PGSSLMODE"] == "verify-full"
    assert environment["PGSSLROOTCERT"] == "/etc/ca.pem"
